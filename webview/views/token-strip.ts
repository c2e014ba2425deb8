/** The tokens in order, tinted by how far they stand out at the shown layer, massive ones and sinks marked. */
import { css, nothing, unsafeCSS } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { formatNumber } from '../../src/analysis/format.js';
import { kindsOf, shownLayer } from '../findings.js';
import { html } from '../html.js';
import { ratioAt } from '../numbers.js';
import { markStyles, quietButtonStyles } from '../styles.js';
import { describeToken, tokenFacts } from '../token.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { View } from '../view.js';

/** Tokens in the page at once: more would slow every selection down. */
const pageLength = 1024;
const tints = 8;

const tintStyles = Array.from(
  { length: tints },
  (_, index) =>
    `.tint${index + 1} { background: color-mix(in srgb, var(--vscode-sinkscope-tint${index + 1}) 60%, transparent); }`,
).join('\n');

@customElement('sinkscope-token-strip')
export class TokenStrip extends View {
  static override styles = [
    quietButtonStyles,
    tooltipStyles,
    css`
      .tokens {
        max-height: 12em;
        overflow: auto;
        font-family: var(--vscode-editor-font-family, monospace);
        line-height: 1.7;
      }
      .tokens:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      .token {
        display: inline-block;
        margin: 0 1px;
        padding: 0 2px;
        border: 1px solid transparent;
        border-radius: 3px;
        line-height: 1.4;
        white-space: pre;
        cursor: pointer;
      }
      .token:hover {
        border-color: var(--vscode-foreground);
      }
      .token[aria-selected='true'] {
        outline: 2px solid var(--vscode-focusBorder);
      }
      .tokens:focus-visible .active {
        outline: 2px dashed var(--vscode-foreground);
      }
      ${unsafeCSS(tintStyles)}
    `,
    markStyles,
  ];

  @state() private active = 0;
  @state() private page = 0;

  @query('.tooltip') private tooltip!: HTMLElement;

  /** The selection that the active token has followed. */
  #selected: number | undefined;
  /** The token that was last scrolled to. */
  #revealed = 0;

  override willUpdate(): void {
    const { token } = this.scene.selection;
    if (token === undefined || token === this.#selected) return;
    this.#selected = token;
    this.active = token;
    this.page = Math.floor(token / pageLength);
  }

  override render() {
    const { labels } = this.scene.findings;
    const pages = Math.ceil(labels.length / pageLength);
    const page = Math.min(this.page, Math.max(0, pages - 1));
    const from = page * pageLength;
    const kinds = kindsOf(this.scene.findings);
    const sinks = new Map(this.scene.findings.sinks.sinks.map((sink) => [sink.token, sink]));
    const statistics = this.scene.analysis.layers.at(
      shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection),
    );
    return html`
      <div
        class="tokens"
        role="listbox"
        tabindex="0"
        aria-label="Tokens"
        aria-orientation="horizontal"
        aria-activedescendant="token${this.active}"
        @keydown=${this.#onKey}
        @focus=${() => this.#show(this.active)}
        @blur=${this.#hide}
        @click=${(event: MouseEvent) => {
          const token = tokenUnder(event);
          if (token !== undefined) this.select({ token });
        }}
        @pointerover=${(event: PointerEvent) => {
          const token = tokenUnder(event);
          if (token === undefined) this.#hide();
          else this.#show(token);
        }}
        @pointerleave=${this.#hide}
      >${labels.slice(from, from + pageLength).map((label, index) => {
        const token = from + index;
        const kind = kinds.get(token);
        const sink = sinks.get(token);
        const tint = statistics === undefined ? 0 : this.#tint(ratioAt(statistics, token));
        return html`<span
          id="token${token}"
          class="token tint${tint} ${kind ?? ''} ${sink ? 'sink' : ''} ${token === this.active ? 'active' : ''}"
          role="option"
          data-token=${token}
          aria-selected=${this.scene.selection.token === token}
          aria-label=${tokenFacts(this.scene.findings, token, kind)}
        >${kind === 'massive' ? html`<b class="of-massive">▲</b>` : nothing}${
          kind === 'large' ? html`<b class="of-large">△</b>` : nothing
        }${sink ? html`<b class="of-sink">⚓︎</b>` : nothing}${label}</span>`;
      })}</div>
      ${pages > 1 ? this.#pager(page, pages) : nothing}
      <div class="tooltip" hidden></div>
    `;
  }

  override updated(): void {
    if (this.active === this.#revealed) return;
    this.#revealed = this.active;
    const list = this.renderRoot.querySelector('.tokens');
    const token = this.renderRoot.querySelector(`#token${this.active}`);
    if (list === null || token === null) return;
    const [inner, outer] = [token.getBoundingClientRect(), list.getBoundingClientRect()];
    if (inner.top < outer.top) list.scrollTop += inner.top - outer.top;
    if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom;
  }

  /** 0 (nothing) … 8, evenly in the logarithm up to the ratio that makes massive. */
  #tint(ratio: number): number {
    if (!(ratio > 0)) return 0;
    const level = (Math.log(ratio / 3) / Math.log(this.scene.thresholds.ratio / 3)) * tints;
    return Math.max(0, Math.min(tints, Math.ceil(level)));
  }

  #show(token: number): void {
    const element = this.renderRoot.querySelector(`#token${token}`);
    const lines = describeToken(this.scene, token);
    if (element !== null && lines !== undefined) showTooltip(this.tooltip, element.getBoundingClientRect(), lines);
  }

  #hide(): void {
    this.tooltip.hidden = true;
  }

  #pager(page: number, pages: number) {
    const go = (to: number) => () => {
      this.page = to;
      this.active = to * pageLength;
    };
    const end = Math.min(this.scene.findings.tokens, (page + 1) * pageLength);
    return html`<div>
      <button class="quiet" ?disabled=${page === 0} @click=${go(page - 1)}>Previous</button>
      tokens ${page * pageLength}–${end - 1} of ${formatNumber(this.scene.findings.tokens)}
      <button class="quiet" ?disabled=${page === pages - 1} @click=${go(page + 1)}>Next</button>
    </div>`;
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.scene.findings.labels.length - 1;
    const steps: Record<string, number> = {
      ArrowLeft: this.active - 1,
      ArrowUp: this.active - 1,
      ArrowRight: this.active + 1,
      ArrowDown: this.active + 1,
      PageUp: this.active - 10,
      PageDown: this.active + 10,
      Home: 0,
      End: last,
    };
    const wanted = steps[event.key];
    if (wanted !== undefined) {
      this.active = Math.max(0, Math.min(last, wanted));
      this.page = Math.floor(this.active / pageLength);
      void this.updateComplete.then(() => this.#show(this.active));
    } else if (event.key === 'Escape') this.#hide();
    else if (event.key === 'Enter' || event.key === ' ') this.select({ token: this.active });
    else return;
    event.preventDefault();
  }
}

function tokenUnder(event: Event): number | undefined {
  const token = event.target instanceof Element ? event.target.closest('[data-token]') : null;
  return token instanceof HTMLElement ? Number(token.dataset.token) : undefined;
}
