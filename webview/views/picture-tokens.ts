/** The tokens of a picture that stand for no part of it, CLS and registers, by name. */
import { css, nothing } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import { formatRatio } from '../../src/analysis/format.js';
import { kindsOf, shownLayer } from '../findings.js';
import { html } from '../html.js';
import { ratioAt } from '../numbers.js';
import { hiddenStyles, markStyles } from '../styles.js';
import { describeToken, tokenFacts } from '../token.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { View } from '../view.js';

@customElement('sinkscope-picture-tokens')
export class PictureTokens extends View {
  static override styles = [
    hiddenStyles,
    tooltipStyles,
    css`
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      button {
        padding: 1px 6px;
        color: inherit;
        background: none;
        border: 1px solid var(--rule);
        border-radius: 3px;
        font: inherit;
        cursor: pointer;
      }
      button:hover {
        border-color: var(--vscode-foreground);
      }
      button[aria-pressed='true'] {
        outline: 2px solid var(--vscode-focusBorder);
      }
      button:focus-visible {
        outline: 2px dashed var(--vscode-foreground);
      }
      .note {
        margin: 0;
        color: var(--muted);
      }
    `,
    markStyles,
  ];

  @query('.tooltip') private tooltip!: HTMLElement;

  override render() {
    const tokens = this.scene.analysis.tokens?.tokens ?? [];
    if (tokens.every(({ region }) => region === undefined)) {
      return html`<p class="note">Which token is which patch of the picture is not known for this model.</p>`;
    }
    return html`
      <ul aria-label="Tokens that are no patch">
        ${tokens.map(({ region }, token) => (region ? nothing : html`<li>${this.#chip(token)}</li>`))}
      </ul>
      <div class="tooltip" hidden></div>
    `;
  }

  #chip(token: number) {
    const { analysis, findings, selection } = this.scene;
    const kind = kindsOf(findings).get(token);
    const sink = findings.sinks.sinks.some((other) => other.token === token);
    const statistics = analysis.layers.at(shownLayer(analysis, findings, selection));
    const ratio = statistics ? formatRatio(ratioAt(statistics, token)) : '';
    const label = findings.labels[token] ?? '';
    return html`<button
      class="${kind ?? ''} ${sink ? 'sink' : ''}"
      data-token=${token}
      aria-pressed=${selection.token === token}
      @click=${() => this.select({ token })}
      @pointerenter=${(event: PointerEvent) => this.#tell(token, event.target)}
      @pointerleave=${this.#hide}
      @focus=${(event: FocusEvent) => this.#tell(token, event.target)}
      @blur=${this.#hide}
    >${kind ? html`<b class="of-${kind}" aria-hidden="true">${kind === 'massive' ? '▲' : '△'}</b>` : nothing}${
      sink ? html`<b class="of-sink" aria-hidden="true">⚓︎</b>` : nothing
    } ${label} <span class="note">${ratio}</span
      ><span class="hidden">${tokenFacts(findings, token, kind).replace(label, '')}</span></button>`;
  }

  #tell(token: number, element: EventTarget | null): void {
    const lines = describeToken(this.scene, token);
    if (lines && element instanceof Element) showTooltip(this.tooltip, element.getBoundingClientRect(), lines);
  }

  #hide(): void {
    this.tooltip.hidden = true;
  }
}
