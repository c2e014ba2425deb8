/** That a model is watched, and what moved when its files changed. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Selection } from '../../src/analysis/selection.js';
import type { FromWebview, ViewState } from '../../src/protocol.js';
import '../figure.js';
import { html } from '../html.js';
import { quietButtonStyles } from '../styles.js';
import '../table.js';
import { dataOf } from '../tabled.js';

@customElement('sinkscope-moved')
export class Moved extends LitElement {
  static override styles = [
    quietButtonStyles,
    css`
      header {
        display: flex;
        align-items: baseline;
        gap: 12px;
        color: var(--muted);
      }
      header span {
        flex: 1;
        min-width: 0;
        overflow-wrap: anywhere;
      }
      p {
        margin: 2px 0 8px;
        line-height: 1.5;
      }
      .problem {
        padding: 6px 10px;
        border-left: 3px solid var(--vscode-errorForeground);
        background: var(--vscode-textBlockQuote-background, transparent);
      }
    `,
  ];

  @property({ attribute: false }) watched!: NonNullable<ViewState['watched']>;
  @property({ attribute: false }) selection: Selection = {};
  /** Whether a run is going on, beside which nothing is said of the one before. */
  @property({ type: Boolean }) running = false;

  override render() {
    const { name, problem, moved } = this.watched;
    return html`
      <header>
        <span>${name} is watched: when its files change, it is analysed again.</span>
        <button class="quiet" @click=${this.#end}>stop watching</button>
      </header>
      ${problem === undefined ? nothing : html`<p class="problem" role="alert">${problem}</p>`}
      ${moved === undefined || this.running ? nothing : html`<p role="status">${moved.sentence}</p>`}
      ${moved === undefined || this.running ? nothing : moved.parts.map((part) => this.#part(part))}
    `;
  }

  #part(part: NonNullable<NonNullable<ViewState['watched']>['moved']>['parts'][number]) {
    if (part.kind !== 'table') return nothing;
    return html`<sinkscope-figure
      name="moved"
      heading=${part.heading}
      note="against the run before"
      .rows=${() => dataOf(part)}
    >
      <sinkscope-table
        .data=${dataOf(part, this.selection)}
        @row=${({ detail }: CustomEvent<number>) => this.#say('select-part', { layer: part.layers?.[detail] })}
      ></sinkscope-table>
    </sinkscope-figure>`;
  }

  #end(): void {
    const message: FromWebview = { type: 'unwatch' };
    this.#say('send', message);
  }

  #say(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
