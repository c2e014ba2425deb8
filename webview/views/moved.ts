/** That a run is pinned or a model watched, and what moved between that run and the one that is shown. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Presentation } from '../../src/analysis/presentation.js';
import type { Selection } from '../../src/analysis/selection.js';
import type { FromWebview, ViewState } from '../../src/protocol.js';
import '../experiments/presentation.js';
import type { GoToEvent, LeadEvent } from '../experiments/presentation.js';
import { html } from '../html.js';
import { quietButtonStyles } from '../styles.js';
import type { Theme } from '../theme.js';

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
      h2 {
        margin: 8px 0 2px;
        font-size: 1.08em;
        font-weight: 600;
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

  @property({ attribute: false }) watched: ViewState['watched'];
  /** Name of the run that is pinned; of the one that is shown itself, empty. */
  @property({ attribute: false }) pinned: string | undefined;
  /** Undefined where there is nothing to hold the run against, and while one is going on. */
  @property({ attribute: false }) moved: Presentation | undefined;
  @property({ attribute: false }) selection: Selection = {};
  @property({ attribute: false }) theme!: Theme;

  override render() {
    const { watched, pinned, moved } = this;
    return html`
      ${
        pinned === undefined
          ? nothing
          : this.#line(
              pinned === ''
                ? 'This run is pinned: the next ones are held against it.'
                : `Pinned: ${pinned}. What is shown is held against it.`,
              'unpin',
              { type: 'pin', on: false },
            )
      }
      ${
        watched === undefined
          ? nothing
          : this.#line(`${watched.name} is watched: when its files change, it is analysed again.`, 'stop watching', {
              type: 'unwatch',
            })
      }
      ${watched?.problem === undefined ? nothing : html`<p class="problem" role="alert">${watched.problem}</p>`}
      ${
        moved === undefined
          ? nothing
          : html`<h2>What moved</h2>
              <sinkscope-presentation
                name="moved"
                role="status"
                .presentation=${moved}
                .selection=${this.selection}
                .theme=${this.theme}
                @lead=${({ detail }: LeadEvent) => this.#say('select-part', detail.selection)}
                @layer=${this.#onLayer}
              ></sinkscope-presentation>`
      }
    `;
  }

  #line(words: string, action: string, message: FromWebview) {
    return html`<header>
      <span>${words}</span>
      <button class="quiet" @click=${() => this.#say('send', message)}>${action}</button>
    </header>`;
  }

  #onLayer(event: GoToEvent): void {
    event.stopPropagation();
    this.#say('select-part', { layer: event.detail.layer });
  }

  #say(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
