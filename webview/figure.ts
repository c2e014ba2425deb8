/** The frame round every view: heading, what the numbers are, the table behind the picture, and the picture as a file. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { quietButtonStyles } from './styles.js';
import './table.js';
import { html } from './html.js';
import type { Drawn } from './picture.js';
import type { Scale } from './scale.js';
import type { TableData } from './table.js';

/** `name` of the figure and whether its table is wanted. */
export type TableEvent = CustomEvent<{ readonly name: string; readonly open: boolean }>;
export type PictureEvent = CustomEvent<{
  readonly name: string;
  readonly title: string;
  readonly drawn: Drawn;
}>;

@customElement('sinkscope-figure')
export class Figure extends LitElement {
  static override styles = [
    quietButtonStyles,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      header {
        display: flex;
        align-items: start;
        gap: 12px;
        margin-bottom: 4px;
      }
      header div {
        display: flex;
        flex: 1;
        flex-wrap: wrap;
        justify-content: space-between;
        gap: 0 12px;
        line-height: 1.4;
        padding: 2px 0;
      }
      h2 {
        margin: 0;
        font-size: 1.08em;
        font-weight: 600;
      }
      .note {
        font-size: 0.92em;
        color: var(--muted);
      }
      .actions {
        padding: 2px 0;
        line-height: 1.4;
        white-space: nowrap;
        font-size: 0.92em;
      }
      @media (max-width: 520px) {
        header {
          flex-wrap: wrap;
          gap: 0 12px;
        }
        header div {
          flex-basis: 100%;
        }
        .actions {
          white-space: normal;
        }
      }
    `,
  ];

  /** Of files and remembered state. */
  @property() name = '';
  @property() heading = '';
  @property() note = '';
  /** Made only when it is wanted. */
  @property({ attribute: false }) table: (() => TableData) | undefined;
  @property({ attribute: false }) picture: (() => HTMLCanvasElement | Promise<HTMLCanvasElement>) | undefined;
  /** What the picture's colours stand for. */
  @property({ attribute: false }) scale: Scale | undefined;
  @property({ type: Boolean }) open = false;

  override render() {
    return html`
      <section role="group" aria-labelledby="heading">
        <header>
          <div>
            <h2 id="heading">${this.heading}</h2>
            <span class="note">${this.note}</span>
          </div>
          <span class="actions">
            <slot name="actions"></slot>
            ${
              this.table &&
              html`<button
                class="quiet"
                aria-label="table of ${this.heading}"
                aria-pressed=${this.open}
                @click=${this.#toggle}
              >table</button>`
            }
          </span>
        </header>
        <slot></slot>
        ${this.open && this.table ? html`<sinkscope-table .data=${this.table()}></sinkscope-table>` : nothing}
      </section>
    `;
  }

  #toggle(): void {
    this.#say('table-toggled', { name: this.name, open: !this.open });
  }

  /** Hands the picture as it is now to whoever saves pictures. */
  async save(): Promise<void> {
    if (this.picture === undefined) return;
    const drawn: Drawn = { canvas: await this.picture(), scale: this.scale };
    this.#say('picture', { name: this.name, title: this.heading, drawn });
  }

  #say(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
