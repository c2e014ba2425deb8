/** The anatomy, drawn: the residual stream from the top to the bottom, and what each block adds to it. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { formatRatio } from '../../src/analysis/format.js';
import { ratio } from '../../src/analysis/massive.js';
import type { Thresholds } from '../../src/analysis/thresholds.js';
import { greatest } from '../../src/statistics/numbers.js';
import type { HiddenStatistics } from '../../src/statistics/statistics.js';
import { html } from '../html.js';
import { multipleScale } from '../scale.js';
import { hiddenStyles } from '../styles.js';
import { type Theme, toneAt } from '../theme.js';
import type { DrawnBlock, DrawnPart, ModelDrawing } from './drawing.js';

/** A layer that was chosen; null, which is what events make of undefined: none is any longer. */
export type ChosenEvent = CustomEvent<number | null>;

/** How far the largest entry of h_k is above the layer's median, by k, as far as a run has come. */
export const multiplesOf = (layers: readonly HiddenStatistics[]): readonly number[] =>
  layers.map((layer) => ratio(greatest(layer.tokenMax, 0), layer));

@customElement('sinkscope-blocks')
export class BlockColumn extends LitElement {
  static override styles = [
    hiddenStyles,
    css`
      :host {
        display: block;
        container-type: inline-size;
        font-size: 0.95em;
      }
      .stream {
        position: relative;
      }
      .stream:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 3px;
      }
      .row {
        position: relative;
        display: grid;
        grid-template-columns: 30px minmax(0, 1fr) 78px;
        align-items: stretch;
        gap: 0 6px;
        cursor: pointer;
      }
      /* The stream itself. */
      .line {
        position: relative;
      }
      .line::before {
        content: '';
        position: absolute;
        inset: 0 auto 0 11px;
        width: 3px;
        background: var(--vscode-foreground);
      }
      .row.first .line::before {
        top: 50%;
      }
      .row.last .line::before {
        bottom: 50%;
      }
      .branches {
        display: grid;
        gap: 4px;
        padding: 4px 0;
      }
      .branch {
        position: relative;
        box-sizing: border-box;
        min-height: 32px;
        padding: 3px 8px;
        border: 1px solid var(--rule);
        border-left: 3px solid var(--kind, var(--rule));
        border-radius: 3px;
        background: var(--vscode-editorWidget-background, transparent);
        overflow-wrap: anywhere;
        line-height: 1.3;
      }
      .attention {
        --kind: var(--vscode-charts-blue);
      }
      .cross {
        --kind: var(--vscode-charts-purple);
      }
      .mlp {
        --kind: var(--vscode-charts-green);
      }
      .experts {
        --kind: var(--vscode-charts-yellow);
      }
      .unknown {
        border-style: dashed;
      }
      /* From the stream into the branch and back: an arm with the sum at its end. */
      .branch::before {
        content: '';
        position: absolute;
        top: 50%;
        left: -20px;
        width: 17px;
        border-top: 1px solid var(--vscode-foreground);
      }
      .branch::after {
        content: '+';
        position: absolute;
        top: calc(50% - 7px);
        left: -34px;
        width: 13px;
        height: 13px;
        border: 1px solid var(--vscode-foreground);
        border-radius: 50%;
        background: var(--ground);
        font-size: 12px;
        line-height: 12px;
        text-align: center;
      }
      /* A word that has no room beside the type stands below it. */
      .branch b {
        font-weight: 600;
        overflow-wrap: normal;
      }
      .branch .type {
        float: right;
        margin-left: 8px;
        color: var(--muted);
        font-size: 0.9em;
      }
      .branch small {
        display: block;
        color: var(--muted);
        font-size: 0.92em;
      }
      .end {
        align-self: center;
        padding: 5px 0;
        overflow-wrap: anywhere;
      }
      .state {
        display: flex;
        flex-direction: column;
        justify-content: end;
        margin: 4px 0;
        box-sizing: border-box;
        padding: 3px 6px;
        border: 1px solid var(--rule);
        border-radius: 3px;
        text-align: right;
        font-variant-numeric: tabular-nums;
      }
      .state small {
        display: block;
        font-size: 0.9em;
      }
      .row.first .state {
        min-height: 40px;
      }
      .row.selected {
        outline: 2px solid var(--vscode-focusBorder);
        outline-offset: -1px;
        border-radius: 3px;
      }
      .row.differs .branch {
        border-style: dashed;
        border-color: var(--massive);
      }
      .change {
        margin: 2px 0 2px 36px;
        padding: 1px 8px;
        border-left: 3px double var(--massive);
        font-size: 0.92em;
      }
      @container (min-width: 560px) {
        .parallel .branches {
          grid-template-columns: 1fr 1fr;
        }
        .parallel .branch:nth-child(n + 2)::before,
        .parallel .branch:nth-child(n + 2)::after {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) drawing!: ModelDrawing;
  /** By k; empty where no run of this file is shown. */
  @property({ attribute: false }) multiples: readonly number[] = [];
  @property({ attribute: false }) thresholds!: Thresholds;
  @property({ attribute: false }) theme!: Theme;
  @property({ type: Number }) selected: number | undefined;
  /** Blocks that are not as those of the file beside this one. */
  @property({ attribute: false }) differing: ReadonlySet<number> = new Set();
  @property() called = 'Anatomy';

  override render() {
    const { blocks, start, end } = this.drawing;
    const active = this.selected === undefined ? nothing : `layer-${this.selected}`;
    return html`<div
      class="stream"
      role="listbox"
      tabindex="0"
      aria-label="${this.called}: residual stream and blocks"
      aria-activedescendant=${active}
      @keydown=${this.#onKey}
    >
      ${this.#row(0, 'first', html`<div class="end">${start}</div>`)}
      ${blocks.map((block) => this.#block(block, blocks.length))}
      ${end.map(
        (what, index) => html`<div
          class="row ${index === end.length - 1 ? 'last' : ''}"
          role="presentation"
        ><div class="line"></div><div class="end">${what}</div></div>`,
      )}
    </div>`;
  }

  #block(block: DrawnBlock, of: number) {
    const { layer, parts, parallel, change } = block;
    const classes = [parallel ? 'parallel' : '', this.differing.has(layer) ? 'differs' : ''].join(' ');
    const boxes = html`<div class="branches">${parts.map((part) => this.#part(part))}</div>`;
    const differs = this.differing.has(layer) ? '; differs' : '';
    const name = html`<span class="hidden">block ${layer} of ${of}${differs}: </span>`;
    return html`${change === undefined ? nothing : html`<div class="change" role="presentation">${change}</div>`}
    ${this.#row(layer, classes, html`${name}${boxes}`)}`;
  }

  #part({ kind, title, facts, fused, types }: DrawnPart) {
    return html`<div class="branch ${kind}">
      ${types.length > 0 ? html`<span class="type">${types.join(' + ')}</span>` : nothing}<b>${title}</b>
      <small>${facts.join(' · ')}${fused === undefined ? nothing : html`<br />fused: ${fused}`}</small>
    </div>`;
  }

  #row(layer: number, classes: string, body: unknown) {
    const multiple = this.multiples[layer];
    const tone =
      multiple === undefined
        ? undefined
        : toneAt(this.theme.ramps.magnitude, multipleScale(this.thresholds).at(multiple));
    const style = tone === undefined ? '' : `color: ${tone.text}; background: ${tone.color}`;
    const selected = layer === this.selected;
    return html`<div
      class="row ${classes} ${selected ? 'selected' : ''}"
      id="layer-${layer}"
      role="option"
      aria-selected=${selected}
      @click=${() => this.#choose(selected ? undefined : layer)}
    >
      <div class="line"></div>
      ${body}
      <div class="state" .style=${style}>h_${layer}${multiple === undefined ? nothing : html`<small>${formatRatio(multiple)}<span class="hidden"> the median</span></small>`}</div>
    </div>`;
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.drawing.blocks.length;
    const at = this.selected ?? -1;
    const to = {
      ArrowDown: Math.min(last, at + 1),
      ArrowUp: Math.max(0, at - 1),
      Home: 0,
      End: last,
      PageDown: Math.min(last, at + 8),
      PageUp: Math.max(0, at - 8),
    }[event.key];
    if (event.key === 'Escape') this.#choose(undefined);
    if (to === undefined) return;
    event.preventDefault();
    this.#choose(to);
  }

  #choose(layer: number | undefined): void {
    this.dispatchEvent(new CustomEvent('chosen', { detail: layer }));
  }

  override updated(changed: Map<string, unknown>): void {
    if (changed.has('selected') && this.selected !== undefined && this.shadowRoot?.activeElement)
      this.shadowRoot.getElementById(`layer-${this.selected}`)?.scrollIntoView({ block: 'nearest' });
  }
}
