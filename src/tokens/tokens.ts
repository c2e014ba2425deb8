/** The tokens of a text as numbers: there can be millions, of which few are looked at. */
import type { PlacedIds } from './parts.js';
import type { ChatRole, Token } from './token.js';

export class Tokens implements Iterable<Token> {
  readonly ids: Int32Array;
  /** Start and end of each, one after another. */
  private readonly places: Uint32Array;

  /** @param shown what is to be said of an id */
  constructor(
    parts: readonly PlacedIds[],
    private readonly shown: (id: number) => Pick<Token, 'text' | 'special'>,
    /** Whose words a token is part of, by its index; what is not the user's is shown as special. */
    private readonly roleOf: (index: number) => ChatRole | undefined = () => undefined,
  ) {
    this.ids = new Int32Array(parts.reduce((sum, { ids }) => sum + ids.length, 0));
    this.places = new Uint32Array(2 * this.ids.length);
    let at = 0;
    for (const { ids, ranges } of parts) {
      this.ids.set(ids, at);
      let place = 2 * at;
      for (const [start, end] of ranges) {
        this.places[place++] = start;
        this.places[place++] = end;
      }
      at += ids.length;
    }
  }

  get length(): number {
    return this.ids.length;
  }

  /** Those from `start` to before `end`. */
  slice(start: number, end: number): Token[] {
    return Array.from(this.ids.subarray(start, end), (_, i) => this.at(start + i));
  }

  *[Symbol.iterator](): Generator<Token, void, void> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  private at(index: number): Token {
    const id = this.ids[index] ?? 0;
    const { text, special } = this.shown(id);
    const [start, end] = [this.places[2 * index] ?? 0, this.places[2 * index + 1] ?? 0];
    const role = this.roleOf(index);
    if (role === undefined) return { id, text, start, end, special };
    return { id, text, start, end, special: special || role !== 'user', role };
  }
}
