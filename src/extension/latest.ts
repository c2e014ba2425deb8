/**
 * What is read anew whenever something changes, and shown: of readings that are under way at once only the one begun
 * last, for they may end in another order.
 *
 * @returns reads; resolves once what it read, or what was read after it, is shown
 */
export function showLatest<T>(read: () => Promise<T>, show: (value: T) => void): () => Promise<void> {
  let last: Promise<void>;
  return () => {
    const own: Promise<void> = read().then((value) => (own === last ? show(value) : last));
    last = own;
    return own;
  };
}
