/** Runs `task` for 0 … count - 1, never more than `concurrency` at once. */
export async function closedLoop(
  { count, concurrency }: { readonly count: number; readonly concurrency: number },
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await task(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, lane));
}
