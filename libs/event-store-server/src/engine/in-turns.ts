/** Runs a long computation part by part, and lets others have their turn in between. */
export async function inTurns<T>(parts: Generator<void, T>): Promise<T> {
  for (;;) {
    const step = parts.next();
    if (step.done === true) return step.value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
