/** The weights of a file as a table, and what the numbers in one of them are like, which is read when it is asked for. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { counted, formatNumber, formatValue } from '../../src/analysis/format.js';
import type { DescribedWeight, Description } from '../../src/engine/contract/description.js';
import { type Problem, toProblem } from '../../src/errors.js';
import type { ReplyTo } from '../../src/protocol.js';
import '../figure.js';
import { html } from '../html.js';
import type { Store } from '../store.js';
import { quietButtonStyles } from '../styles.js';
import type { TableData } from '../table.js';
import { formatBytes } from './drawing.js';

type Told = ReplyTo<'weight'>;

/** What is known of the weight that is chosen. */
type Chosen = { readonly weight: DescribedWeight } & (
  | { readonly status: 'reading' }
  | { readonly status: 'told'; readonly told: Told }
  | { readonly status: 'failed'; readonly problem: Problem }
);

@customElement('sinkscope-weights')
export class Weights extends LitElement {
  static override styles = [
    quietButtonStyles,
    css`
    :host {
      display: block;
      min-width: 0;
    }
    sinkscope-table {
      --table-height: 340px;
      --table-width: 100%;
    }
    label {
      display: flex;
      gap: 8px;
      align-items: center;
      margin-bottom: 4px;
      color: var(--muted);
    }
    input {
      flex: 1;
      min-width: 0;
      min-height: 24px;
      padding: 1px 6px;
      color: var(--vscode-input-foreground);
      background: var(--vscode-input-background);
      border: 1px solid var(--vscode-input-border, var(--vscode-contrastBorder, var(--rule)));
      font: inherit;
    }
    input:focus-visible {
      outline: 1px solid var(--vscode-focusBorder);
    }
    section {
      margin-top: 12px;
    }
    h3 {
      margin: 0 0 4px;
      font-size: 1em;
      font-weight: 600;
      overflow-wrap: anywhere;
    }
    p {
      margin: 4px 0;
      color: var(--muted);
    }
    .octaves {
      display: flex;
      align-items: end;
      gap: 1px;
      height: 72px;
      margin: 6px 0 0;
      border-bottom: 1px solid var(--rule);
    }
    .octaves i {
      flex: 1;
      min-width: 1px;
      background: var(--bar);
    }
  `,
  ];

  @property({ attribute: false }) store!: Store;
  @property({ attribute: false }) description!: Description;
  /** Those of one block alone; undefined: all. */
  @property({ type: Number }) block: number | undefined;

  @state() private sought = '';
  @state() private chosen: Chosen | undefined;

  override willUpdate(changed: Map<string, unknown>): void {
    // What was told was told of another file, or of this one as it was.
    if (changed.has('description')) this.chosen = undefined;
  }

  override render() {
    const shown = this.#shown();
    const { left, bytes } = this.description;
    const rest =
      left.count === 0
        ? ''
        : `; ${formatNumber(left.count)} smaller constants, ${formatBytes(left.bytes)}, are not listed`;
    const note = `${counted(shown.length, 'weight')}, ${formatBytes(shown.reduce((sum, one) => sum + one.bytes, 0))} of ${formatBytes(bytes)}${rest}`;
    return html`<sinkscope-figure name="weights" heading=${this.block === undefined ? 'Weights' : `Weights of ${this.#place(this.block)}`} note=${note} .rows=${() => ({ ...this.#table(shown), cells: (row: number) => this.#cells(shown[row], (bytes) => bytes) })}>
      ${this.block === undefined ? nothing : html`<button slot="actions" class="quiet" @click=${() => this.dispatchEvent(new CustomEvent('all'))}>all weights</button>`}
      <label>Find <input
        type="search"
        data-testid="find-weight"
        placeholder="part of a name, a type, a part of a block"
        .value=${this.sought}
        @input=${(event: Event) => {
          if (event.target instanceof HTMLInputElement) this.sought = event.target.value;
        }}
      /></label>
      <sinkscope-table
        .data=${this.#table(shown)}
        @row=${(event: CustomEvent<number>) => void this.#choose(shown[event.detail])}
      ></sinkscope-table>
    </sinkscope-figure>
    <div aria-live="polite">${this.chosen ? this.#about(this.chosen) : html`<p>Choose a weight to have its numbers read: nothing of them is read before.</p>`}</div>`;
  }

  #shown(): readonly DescribedWeight[] {
    const words = this.sought.toLowerCase().split(/\s+/);
    return this.description.weights.filter(
      (weight) =>
        (this.block === undefined || weight.block === this.block) &&
        words.every((word) => `${weight.name} ${packedType(weight)} ${weight.part ?? ''}`.toLowerCase().includes(word)),
    );
  }

  #place(block: number | undefined): string {
    if (block === undefined) return '–';
    const { anatomy } = this.description;
    const layers = anatomy.found ? anatomy.inspection.anatomy.layers : 0;
    return block === 0 ? 'embedding' : block > layers ? 'output head' : `block ${block}`;
  }

  #table(shown: readonly DescribedWeight[]): TableData {
    const selected = shown.findIndex(({ name }) => name === this.chosen?.weight.name);
    return {
      caption: 'Weights, with where they belong',
      captioned: true,
      columns: ['name', 'in', 'part', 'type', 'shape', 'bytes'].map((name) => ({ name })),
      words: [true, true, true, true, true, false],
      rows: shown.length,
      cells: (row) => this.#cells(shown[row], formatBytes),
      order: (row) => {
        const weight = shown[row];
        const elements = weight?.shape.reduce((product, extent) => product * extent, 1) ?? 0;
        return [row, weight?.block ?? -1, row, row, elements, weight?.bytes ?? 0];
      },
      selectable: true,
      ...(selected < 0 ? {} : { selected }),
    };
  }

  /** @param written how the bytes are: a file has their number */
  #cells(weight: DescribedWeight | undefined, written: (bytes: number) => string | number) {
    if (!weight) return [];
    const { name, block, part, shape, bytes } = weight;
    return [name, this.#place(block), part ?? '', packedType(weight), `[${shape.join(', ')}]`, written(bytes)];
  }

  async #choose(weight: DescribedWeight | undefined): Promise<void> {
    if (!weight) return;
    const { description } = this;
    this.chosen = { weight, status: 'reading' };
    const still = () => this.chosen?.weight === weight && this.description === description;
    try {
      const told = await this.store.query({ type: 'weight', name: weight.name, of: 'file' });
      if (still()) this.chosen = { weight, status: 'told', told };
    } catch (error) {
      if (still()) this.chosen = { weight, status: 'failed', problem: toProblem(error) };
    }
  }

  #about(chosen: Chosen) {
    const { weight } = chosen;
    const body =
      chosen.status === 'reading'
        ? html`<p role="status">Reading ${formatBytes(weight.bytes)} …</p>`
        : chosen.status === 'failed'
          ? html`<p role="alert">${chosen.problem.message}</p>`
          : this.#numbers(weight, chosen.told);
    return html`<section aria-label="Numbers in ${weight.name}" data-testid="weight"><h3>${weight.name}</h3>${body}</section>`;
  }

  #numbers(weight: DescribedWeight, told: Told) {
    const { octaves, deviation, kurtosis, nonFinite, zeros, count } = told;
    const most = octaves.counts.reduce((most, one) => Math.max(most, one), 1);
    const whole = /^(u?int|bool)/.test(weight.type);
    const [first] = told.top;
    const beyond = first === undefined ? 0 : Math.abs(first.value - told.mean) / deviation;
    return html`
      <p>
        ${formatNumber(count)} numbers, standard deviation ${formatNumber(deviation)} around ${formatNumber(told.mean)}, from
        ${formatValue(told.min)} to ${formatValue(told.max)}; excess kurtosis ${formatNumber(kurtosis)} (0 is a normal
        distribution's)${nonFinite > 0 ? `; ${formatNumber(nonFinite)} are not finite` : ''}${zeros > 0 ? `; ${formatNumber(zeros)} are 0` : ''}.
      </p>
      ${whole ? html`<p>These are whole numbers as they are stored: a scale makes weights of them${weight.bits === undefined ? '' : `, and each byte holds several of ${weight.bits} bits`}.</p>` : nothing}
      ${beyond > 8 ? html`<p>The largest lies ${formatNumber(beyond)} standard deviations from the mean.</p>` : nothing}
      ${weight.part === 'mlp_out' ? html`<p>In the last product of an MLP a few such numbers can be super weights. Only a run tells: the experiment <b>Massive Weights</b> looks for them.</p>` : nothing}
      <div class="octaves" aria-hidden="true">${octaves.counts.map(
        (one) => html`<i .style=${`height: ${Math.ceil((100 * Math.log1p(one)) / Math.log1p(most))}%`}></i>`,
      )}</div>
      <p>Magnitudes by powers of two, from ${powerOfTwo(octaves.from)} to ${powerOfTwo(octaves.from + octaves.counts.length)}; heights are logarithmic.</p>
      <sinkscope-table .data=${topTable(told)}></sinkscope-table>
    `;
  }
}

const powerOfTwo = (power: number) => html`2<sup>${`${power}`.replace('-', '−')}</sup>`;

/** The type as it is stored, and what is packed into it. */
const packedType = ({ type, bits }: DescribedWeight) => (bits === undefined ? type : `${type} of ${bits}-bit`);

function topTable({ top, mean, deviation }: Told): TableData {
  return {
    caption: 'Largest magnitudes',
    columns: [{ name: 'place' }, { name: 'value', format: 'value' }, { name: 'standard deviations' }],
    rows: top.length,
    cells: (row) => {
      const entry = top[row];
      if (!entry) return [];
      return [`[${entry.index.join(', ')}]`, entry.value, Math.abs(entry.value - mean) / deviation];
    },
  };
}
