/** Copies of a message, each with one thing in it that is not what it should be. */

/** What stands in the place of something: no message has such a thing anywhere, and none could. */
const alien = Symbol('alien');

/** A copy for every part of `message`, this part being {@link alien}, and what the part is called: `statistics.top.0`. */
export function* broken(message: unknown): Generator<readonly [path: string, copy: unknown]> {
  yield* brokenAt(message, '');
}

function* brokenAt(value: unknown, path: string): Generator<readonly [string, unknown]> {
  if (path !== '') yield [path, alien];
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, part] of Object.entries(value)) {
    for (const [where, copy] of brokenAt(part, path === '' ? key : `${path}.${key}`)) {
      yield [where, Array.isArray(value) ? value.with(Number(key), copy) : { ...value, [key]: copy }];
    }
  }
}

/** A copy for every key at any depth, without it. */
export function* lacking(message: unknown): Generator<readonly [path: string, copy: unknown]> {
  yield* lackingAt(message, '');
}

function* lackingAt(value: unknown, path: string): Generator<readonly [string, unknown]> {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, part] of Object.entries(value)) {
    const where = path === '' ? key : `${path}.${key}`;
    if (!Array.isArray(value)) {
      const { [key]: _, ...rest } = value as Record<string, unknown>;
      yield [where, rest];
    }
    for (const [inner, copy] of lackingAt(part, where)) {
      yield [inner, Array.isArray(value) ? value.with(Number(key), copy) : { ...value, [key]: copy }];
    }
  }
}
