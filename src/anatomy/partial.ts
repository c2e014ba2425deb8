/**
 * Additions to a part of the rows: attention over time in a video model leaves CLS out, and what follows joins it again.
 */
import type { Addition } from './addition.js';
import type { Flow } from './flow.js';

/**
 * The additions of a stream without those to a part of its rows, which become branches of the one that comes next: its
 * skip has the other rows as they were.
 *
 * @param from the input that a value carries on, by the value
 */
export function wholeAdditions(
  flow: Flow,
  from: ReadonlyMap<string, string>,
  additions: readonly Addition[],
): Addition[] {
  const result: Addition[] = [];
  for (const addition of additions) {
    const before = result.at(-1);
    const whole = before && before === addition.previous ? cutFrom(flow, from, before, addition) : undefined;
    if (!before || whole === undefined) {
      result.push(addition);
      continue;
    }
    const branches = [...addition.branches, ...before.branches];
    result.splice(-1, 1, { ...addition, branches, previous: before.previous, whole });
  }
  return result;
}

/** The value whose rows `part` adds to some of, where a term of the next addition joins these with others of it. */
function cutFrom(
  flow: Flow,
  from: ReadonlyMap<string, string>,
  part: Addition,
  { node: sum }: Addition,
): string | undefined {
  const cut = rearranged(flow, part.skip).slice(1);
  if (cut.length === 0) return undefined;
  for (const term of flow.reads(sum)) {
    let value: string | undefined = term;
    for (let step = 0; value !== undefined && value !== part.sum && step < mostSteps; step++) {
      const carried: string | undefined = from.get(value);
      const node = flow.producer(value);
      if (node?.op === 'Concat') {
        const kept = new Set(node.inputs.flatMap((input) => (input === carried ? [] : rearranged(flow, input))));
        const whole = cut.find((one) => kept.has(one));
        if (whole !== undefined) return whole;
      }
      value = carried;
    }
  }
  return undefined;
}

const mostSteps = 12;

/** What leaves numbers as they are, in other places. */
export const rearranging: ReadonlySet<string> = new Set(
  'Slice Gather Split Reshape Transpose Squeeze Unsqueeze Cast Identity Expand Tile'.split(' '),
);

/** `value` and what it is rows of, in whatever shape, nearest first. */
export function rearranged(flow: Flow, value: string): string[] {
  const found = [value];
  for (let node = flow.producer(value); node && found.length <= mostSteps; node = flow.producer(found.at(-1) ?? '')) {
    const [input] = node.inputs;
    if (!rearranging.has(node.op) || input === undefined || flow.isConstant(input)) break;
    found.push(input);
  }
  return found;
}
