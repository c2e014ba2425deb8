/**
 * Values handed from callbacks to a `for await` loop. Unlike an async generator it can be left while it waits:
 * `return` does not queue behind a pending `next`.
 */
export class Channel<T> implements AsyncGenerator<T, void, void> {
  private readonly values: T[] = [];
  private readonly waiting: ((result: IteratorResult<T, void>) => void)[] = [];
  private closed = false;

  /** @param onReturn called when the reader leaves before the end */
  constructor(private readonly onReturn: () => void) {}

  push(value: T): void {
    if (this.closed) return;
    const reader = this.waiting.shift();
    if (reader) reader({ value, done: false });
    else this.values.push(value);
  }

  close(): void {
    this.closed = true;
    for (const reader of this.waiting.splice(0)) reader({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<T, void>> {
    const value = this.values.shift();
    if (value !== undefined) return Promise.resolve({ value, done: false });
    if (this.closed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  return(): Promise<IteratorResult<T, void>> {
    if (!this.closed) this.onReturn();
    this.values.length = 0;
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
