/** What the run shows, in words, with the conditions that every number on the panel stands under. */
import type { PropertyValues } from 'lit';
import { nothing } from 'lit';
import { customElement } from 'lit/decorators.js';
import { conditions } from '../../src/analysis/conditions.js';
import { type Span, summarySentences } from '../../src/analysis/summary.js';
import { html } from '../html.js';
import { inTerms, unbroken } from '../terms.js';
import { View } from '../view.js';

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
      <small>${inTerms(conditions(this.scene.analysis, this.scene.thresholds).join(' · '))}</small>
    `;
  }

  #span({ text, mark, at }: Span) {
    const words = unbroken(text);
    if (at) return html`<button class=${mark ?? nothing} @click=${() => this.select(at)}>${words}</button>`;
    return mark ? html`<b class=${mark}>${words}</b>` : words;
  }
}
