/** What the run shows, in words, with the conditions that every number on the panel stands under. */
import type { PropertyValues } from 'lit';
import { customElement } from 'lit/decorators.js';
import { formatNumber, formatRatio } from '../../src/analysis/format.js';
import { guessedInputs } from '../../src/analysis/outputs.js';
import { summary } from '../../src/analysis/summary.js';
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
    const seen = new Set<string>();
    return html`
      <p>
        ${summary(this.scene.analysis, this.scene.thresholds).map(({ text, mark }) => {
          if (mark === undefined) return text;
          const sign = seen.has(mark) ? '' : signs[mark];
          seen.add(mark);
          return html`<b class=${mark}>${sign}${text}</b>`;
        })}
      </p>
      <small>${conditions(this.scene.analysis, this.scene.thresholds).join(' · ')}</small>
    `;
  }
}

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
