/** What a destination knows a use of a tool by: from identity alone, never from what a model wrote. */
export function idempotencyKeyOf(
  run: { readonly tenant: string; readonly runId: string; readonly branch?: number | undefined },
  call: string,
): string {
  return `${run.tenant}/${run.runId}/${run.branch ?? 0}/${call}`;
}
