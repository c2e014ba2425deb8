/** What the run shows, in words, with the conditions that every number on the panel stands under. */
import type { PropertyValues } from 'lit';
import { customElement } from 'lit/decorators.js';
import { conditions } from '../../src/analysis/conditions.js';
import { summary } from '../../src/analysis/summary.js';
import { html } from '../html.js';
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
