/** Names of pools, builds and workers are few; whatever else comes by does no harm. */
const WORDS_MAX = 10_000;

/**
 * One text for all that are equal. A parser makes each word anew, 30 to 60 bytes of it: what holds a million of records
 * keeps their few names once.
 */
export class SharedWords {
  private readonly words = new Map<string, string>();

  of<T extends string>(word: T): T {
    const known = this.words.get(word);
    if (known !== undefined) return known as T;
    if (this.words.size >= WORDS_MAX) this.words.clear();
    this.words.set(word, word);
    return word;
  }
}
