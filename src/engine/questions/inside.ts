/** A finished run, as questions see it. */
import type { Head } from '../stages/head.js';
import type { LoadedModel } from '../stages/loaded.js';
import type { Pattern } from '../tensors/patterns.js';
import type { Value, Values } from '../tensors/value.js';

/** What a run lets questions see. Blocks are 1-based; L + 1 is the output head. */
export interface Inside {
  readonly loaded: LoadedModel;
  /** T. */
  readonly tokens: number;
  readonly head: Head | undefined;
  /** Whether the memory allowed has room for sessions that stay. */
  readonly keep: boolean;
  /** Feeds, residual points and carried values that are at hand. */
  readonly values: Values;
  /** Name of h_`layer`. */
  residual(layer: number): string;
  state(layer: number): Promise<Value>;
  /** Values that `block` computes, computed again with those `given` taken as they are. */
  inside(block: number, names: readonly string[], given?: Values): Promise<Values>;
  /** @throws SinkscopeError `input` where there is no such block or pattern */
  pattern(layer: number): Promise<Pattern>;
}
