/**
 * Where the stages of a model are computed. A graphics card is believed once it has computed the first block as the CPU
 * does; whatever goes wrong on it later, the run goes on from there on the CPU, and what happened is said.
 */

import { DataType } from '../../onnx/model.js';
import { greatest } from '../../statistics/numbers.js';
import type { Device, DeviceEvent, Provider } from '../contract/device.js';
import { floats, rowsOf, type Value, type Values } from '../tensors/value.js';
import type { ProviderChoice, Providers } from './providers.js';
import { reasonOf } from './reason.js';

/** How far a card's first block was from the CPU's. */
export type Proof = NonNullable<DeviceEvent['proof']>;

/** A stage that is to be computed somewhere. */
export interface Task {
  /** In words. */
  readonly name: string;
  /** Whether a card gains anything. */
  readonly worthwhile: boolean;
  /** The hidden states that it gives at the ends of blocks; none: what a card computes of it proves nothing. */
  readonly residuals: readonly string[];
  /** Whether its session is to stay. */
  readonly keep: boolean;
  on(provider: Provider, keep: boolean): Promise<Values>;
  /** Operators of it that a provider leaves to the CPU; `type` of what is computed. */
  elsewhere(provider: Provider, type: DataType): Promise<readonly string[]>;
  /** Frees the sessions that stay. */
  free(): Promise<void>;
}

export class Placement {
  private proven = false;
  /** False once kept sessions were too much for the card's memory. */
  private mayKeep = true;
  /** Stages that are no whole blocks, as the output head, and that the card could not compute. */
  private readonly left = new Set<string>();
  /** What there is to say of it, the last thing said. */
  private said: DeviceEvent | undefined;
  /** Why others were not taken, each a sentence. */
  private readonly refused: string[] = [];

  /**
   * @param provider of the choice for `asked`, and why it is the CPU where that is so
   * @param proofs of models by this process
   * @param model what the proof is of: the same for the same content, see `modelIdentity`
   * @param quantised whether weights have few bits, and products round what they multiply
   * @param half whether products are rounded to half precision, whatever hidden states are in
   */
  constructor(
    readonly asked: Device,
    private place: ProviderChoice,
    private readonly known: {
      readonly providers: Providers;
      readonly proofs: Map<string, Proof>;
      readonly model: string;
      readonly quantised: boolean;
      readonly half: boolean;
    },
    private readonly say: (event: DeviceEvent) => void,
  ) {
    if (place.why !== undefined) this.tell(place.why);
    this.recall();
  }

  /** Judges what is known of the providers at hand. */
  private recall(): void {
    while (this.isOpen) {
      const proof = this.known.proofs.get(this.key());
      if (!proof) return;
      this.judge(proof);
    }
  }

  /** What computes the stages to come. */
  get provider(): Provider {
    return this.place.provider;
  }

  /** Whether what it computes still has to be held against the CPU's. */
  get isOpen(): boolean {
    return this.place.provider !== 'cpu' && !this.proven;
  }

  /** Says again what was said last: to a job that goes on with it. */
  tellNow(): void {
    if (this.said) this.say(this.said);
  }

  /** @throws what the CPU throws */
  async compute(task: Task): Promise<Values> {
    const { provider } = this;
    if (provider === 'cpu' || !task.worthwhile || this.left.has(task.name)) return task.on('cpu', task.keep);
    if (this.proven) return this.attempt(task);
    const expected = await task.on('cpu', false);
    if (task.residuals.length === 0) return expected;
    while (this.isOpen) {
      const got = await this.prove(task, expected);
      if (got) return got;
      await free(task);
      this.recall();
    }
    return this.provider === 'cpu' ? expected : this.attempt(task);
  }

  /** What the provider at hand makes of the first block; undefined where it is not taken. */
  private async prove(task: Task, expected: Values): Promise<Values | undefined> {
    const { provider } = this;
    let got: Values;
    try {
      got = await task.on(provider, task.keep && this.mayKeep);
    } catch (error) {
      await this.leave(task, error);
      return undefined;
    }
    const difference = greatest(task.residuals.map((name) => distance(expected.get(name), got.get(name))));
    const type = expected.get(task.residuals[0] ?? '')?.type ?? DataType.float;
    const tolerance = this.known.quantised ? rounded : this.known.half || type === DataType.float16 ? half : single;
    const isTaken = difference <= tolerance || this.asked !== 'auto';
    const elsewhere = isTaken ? [...(await task.elsewhere(provider, type))] : [];
    const proof: Proof = { difference, tolerance, elsewhere };
    this.known.proofs.set(this.key(), proof);
    this.judge(proof);
    return isTaken ? got : undefined;
  }

  private async attempt(task: Task): Promise<Values> {
    const { provider } = this;
    const keep = task.keep && this.mayKeep;
    try {
      return await task.on(provider, keep);
    } catch (error) {
      if (!keep || troubleOf(error) !== 'memory') return this.onward(task, error);
    }
    // Weights of blocks that wait for their turn need not lie there.
    this.mayKeep = false;
    await free(task);
    try {
      return await task.on(provider, false);
    } catch (error) {
      return this.onward(task, error);
    }
  }

  /** Goes on with the CPU. */
  private async onward(task: Task, error: unknown): Promise<Values> {
    await this.leave(task, error);
    return task.on('cpu', task.keep);
  }

  private async leave(task: Task, error: unknown): Promise<void> {
    const { provider } = this;
    const message = error instanceof Error ? error.message : String(error);
    const trouble = troubleOf(error);
    if (trouble === 'lost')
      this.known.providers.lose(provider, 'the graphics card was lost in an earlier run; start again to use it');
    // An unembedding may be larger than a card's largest buffer, when every block fits.
    const alone = this.proven && trouble !== 'lost' && task.residuals.length === 0;
    if (alone) this.left.add(task.name);
    // A block that has been computed elsewhere is followed by others of the same place.
    else this.take(this.proven ? [] : this.place.others);
    await free(task);
    const happened = `${troubles[trouble](provider)} at ${task.name}`;
    // Of a lack of memory, Dawn tells what it was called for with a buffer that was not made.
    const reason = trouble === 'memory' && /While calling \[/.test(message) ? '' : ` (${reasonOf(message)})`;
    if (!alone && this.provider !== 'cpu') this.refused.push(`${happened}${reason}.`);
    else this.tell(`${happened}, so the CPU computed ${alone ? 'that' : 'that and what follows'}${reason}.`);
  }

  /** Goes on with the first of these, or with the CPU. */
  private take([provider = 'cpu', ...others]: readonly Provider[] = []): void {
    this.place = { provider, others };
  }

  private judge(proof: Proof): void {
    const { provider, asked } = this;
    const { difference, tolerance, elsewhere } = proof;
    const left =
      elsewhere.length === 0
        ? ''
        : ` Of its operators the CPU runs ${elsewhere.join(', ')}, which ${provider} does not.`;
    const off = `${difference.toExponential(0)} off, relative to a token's length`;
    if (difference <= tolerance) {
      this.proven = true;
      this.tell(
        `Computed by ${provider}, whose first block is the CPU's (${off}; ${tolerance} is allowed).${left}`,
        proof,
      );
      return;
    }
    const differs = `the first block that ${provider} computes is not the CPU's (${off}; ${tolerance} is allowed)`;
    if (asked === 'auto') {
      this.take(this.place.others);
      if (this.provider === 'cpu') this.tell(`Computed by the CPU: ${differs}.`, proof);
      else this.refused.push(`${capital(differs)}.`);
    } else {
      this.proven = true;
      this.tell(
        `Computed by ${provider} as it was asked for, but ${differs}: do not trust these numbers.${left}`,
        proof,
      );
    }
  }

  private tell(why: string, proof?: Proof): void {
    const all = [...this.refused, why].join(' ');
    this.said = { type: 'device', asked: this.asked, provider: this.provider, why: all, ...(proof && { proof }) };
    this.say(this.said);
  }

  private key(): string {
    return `${this.provider} ${this.known.model}`;
  }
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Of a card that is gone, too. */
async function free(task: Task): Promise<void> {
  await task.free().catch(() => {});
}

type Trouble = 'lost' | 'memory' | 'half' | 'other';

const troubles: Readonly<Record<Trouble, (provider: Provider) => string>> = {
  lost: (provider) => `The graphics card was lost (${provider})`,
  memory: (provider) => `The graphics card's memory was not enough for ${provider}`,
  half: (provider) => `The graphics card's driver offers ${provider} no half precision (shader-f16)`,
  other: (provider) => `${provider} failed`,
};

/** What kind of trouble an error of a card is. Of what came too much for its memory, Dawn says that it is invalid. */
export function troubleOf(error: unknown): Trouble {
  const message = error instanceof Error ? error.message : String(error);
  if (/device (is |was )?lost|DEVICE_LOST|DEVICE_(REMOVED|HUNG|RESET)/i.test(message)) return 'lost';
  if (/requires f16|shader-f16/i.test(message)) return 'half';
  if (
    /out of memory|OUT_OF_(DEVICE|HOST)_MEMORY|OUTOFMEMORY|ran out of|failed to allocate|exceeds the max buffer size|due to a previous error|failed to download data/i.test(
      message,
    )
  )
    return 'memory';
  return 'other';
}

/**
 * What a card's hidden state may be off by. Sums in another order, and functions that a card approximates, are below a
 * ten-thousandth in single precision; where products round what they multiply to 8 bits, the CPU's own rounding is about
 * a hundredth.
 */
const [single, half, rounded] = [1e-4, 1e-2, 2e-2];

/** Of tokens, the largest |difference| / |expected|; infinite where one has a number and the other none. */
function distance(expected: Value | undefined, got: Value | undefined): number {
  if (!expected || !got || expected.dims.join() !== got.dims.join()) return Number.POSITIVE_INFINITY;
  const [want, have, { dims }] = [floats(expected), floats(got), rowsOf(expected)];
  let worst = 0;
  for (let start = 0; start < want.length; start += dims) {
    let [off, length] = [0, 0];
    for (let i = start; i < start + dims; i++) {
      const [a = 0, b = 0] = [want[i], have[i]];
      // What overflows has to overflow on both sides.
      if (!Object.is(a, b)) off += (a - b) ** 2;
      if (Number.isFinite(a)) length += a ** 2;
    }
    const ratio = off === 0 ? 0 : Math.sqrt(off / length);
    worst = Math.max(worst, Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio);
  }
  return worst;
}
