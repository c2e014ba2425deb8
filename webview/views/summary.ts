/** What the run shows, in words, with the conditions that every number on the panel stands under. */
import type { PropertyValues } from 'lit';
import { nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { formatNumber, formatRatio } from '../../src/analysis/format.js';
import { guessedInputs } from '../../src/analysis/outputs.js';
import { type Span, summarySentences } from '../../src/analysis/summary.js';
import type { StartedEvent } from '../../src/engine/contract/events.js';
import { html } from '../html.js';
import { type Scene, View } from '../view.js';

const signs = { massive: '▲ ', large: '△ ', sink: '⚓︎ ' };

@customElement('sinkscope-summary')
export class Summary extends View {
  /** In the page's own tree: the sentence is text of the page, to be found and read like any other. */
  protected override createRenderRoot() {
    return this;
  }

  /** Whatever is selected, the words are the same. */
  protected override shouldUpdate(changed: PropertyValues): boolean {
    return this.differs(changed, 'findings', 'thresholds');
  }

  override render() {
    return html`
      <ul>
        ${summarySentences(this.scene.analysis, this.scene.thresholds).map((sentence) => {
          const mark = sentence.find((span) => span.mark)?.mark;
          return html`<li>${mark && html`<span class=${mark}>${signs[mark]}</span>`}${sentence.map((span) => this.#span(span))}</li>`;
        })}
      </ul>
      <small>${unbroken(conditions(this.scene.analysis, this.scene.thresholds).join(' · '))}</small>
    `;
  }

  #span({ text, mark, at }: Span) {
    const words = unbroken(text);
    if (at) return html`<button class=${mark ?? nothing} @click=${() => this.select(at)}>${words}</button>`;
    return mark ? html`<b class=${mark}>${words}</b>` : words;
  }
}

/** A number stays beside its sign. */
const unbroken = (text: string) => text.replaceAll(' ×', '\u00a0×');

/** What made the numbers that are shown, in a few words. */
export function madeBy({ started }: Scene['analysis']): string {
  return started ? `${started.model.name}, ${prefixOf(started)}` : 'another model';
}

const prefixOf = ({ settings: { bos } }: StartedEvent) =>
  bos === undefined ? 'tokens as given' : bos ? 'BOS on' : 'BOS off';

/** Model, T, BOS and thresholds: without them no number means anything. */
export function conditions(analysis: Scene['analysis'], thresholds: Scene['thresholds']): string[] {
  const { started, tokens } = analysis;
  if (started === undefined) return [];
  const { model } = started;
  const { absolute, ratio, epsilon } = thresholds;
  const window = tokens?.window;
  const part = window && tokens && tokens.tokens.length < tokens.total;
  return [
    model.name,
    `${model.layers} layers, D = ${model.hidden}`,
    ...(tokens ? [`T = ${formatNumber(tokens.tokens.length)}`] : []),
    ...(part ? [`tokens ${window.start}–${window.end - 1} of ${formatNumber(tokens.total)}`] : []),
    ...(tokens?.tokenizer === false && tokens.source === 'ids' ? ['no tokenizer: tokens have no text'] : []),
    prefixOf(started),
    `massive: |h| > ${formatNumber(absolute)}, ≥ ${formatRatio(ratio)} median`,
    `ε = ${epsilon}`,
    ...guessedInputs(analysis),
    ...model.missing,
    ...model.remarks,
  ];
}
