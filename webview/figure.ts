/** The frame round every view: heading, what the numbers are, the table behind the picture, and the picture as a file. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { FromWebview } from '../src/protocol.js';
import { html } from './html.js';
import { verb } from './icon.js';
import type { DrawnPicture, Wanted } from './picture.js';
import { quietButtonStyles } from './styles.js';
import { inTerms, termStyles, unbroken } from './terms.js';
import './table.js';
import { csvBytes, type TableData } from './tabled.js';
import type { Theme } from './theme.js';

/** `name` of the figure and whether its table is wanted. */
export type TableEvent = CustomEvent<{ readonly name: string; readonly open: boolean }>;

/** Draws the picture of a figure in a theme. */
export type DrawPicture = (theme: Theme) => DrawnPicture | Promise<DrawnPicture>;

/** A picture is wanted as a file: whoever knows the conditions makes it. */
export type PictureEvent = CustomEvent<{
  readonly name: string;
  readonly title: string;
  readonly note: string;
  /** A file of a kind, or a picture for the clipboard. */
  readonly kind: Wanted['kind'];
  readonly draw: DrawPicture;
}>;

@customElement('sinkscope-figure')
export class Figure extends LitElement {
  static override styles = [
    termStyles,
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
      h2,
      .note {
        overflow-wrap: anywhere;
        min-width: 0;
      }
      header div {
        display: flex;
        flex: 1;
        flex-wrap: wrap;
        align-items: baseline;
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
        display: flex;
        align-items: center;
        height: 24px;
        line-height: 1.4;
        white-space: nowrap;
        font-size: 0.92em;
      }
      details {
        position: relative;
      }
      summary {
        display: flex;
        align-items: center;
        box-sizing: border-box;
        min-height: 24px;
        padding: 4px;
        color: var(--muted);
        border-radius: 3px;
        list-style: none;
        cursor: pointer;
      }
      summary:hover,
      details[open] summary {
        color: var(--vscode-foreground);
        background: var(--vscode-toolbar-hoverBackground);
      }
      summary:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
      }
      ul {
        position: absolute;
        z-index: 3;
        right: 0;
        margin: 0;
        padding: 3px;
        list-style: none;
        white-space: nowrap;
        background: var(--vscode-menu-background, var(--ground));
        border: 1px solid var(--vscode-menu-border, var(--rule));
        border-radius: 4px;
      }
      li button {
        width: 100%;
        text-align: left;
      }
      @media (max-width: 520px) {
        header {
          flex-wrap: wrap;
          gap: 0 12px;
        }
        /* What the numbers are has a line of its own, under the heading and what can be done. */
        header div {
          display: contents;
        }
        h2 {
          flex: 1 1 55%;
        }
        .note {
          order: 1;
          flex-basis: 100%;
        }
        .actions {
          /* At the right in a line of their own too: the menu opens to the left. */
          margin-left: auto;
          flex-wrap: wrap;
          justify-content: end;
          height: auto;
          white-space: normal;
        }
        ::slotted(span) {
          display: inline-flex;
          flex-wrap: wrap;
          justify-content: end;
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
  /** The table that is saved, where it is seen already. */
  @property({ attribute: false }) rows: (() => TableData) | undefined;
  @property({ attribute: false }) picture: DrawPicture | undefined;
  @property({ type: Boolean }) open = false;

  override render() {
    return html`
      <section role="group" aria-labelledby="heading">
        <header>
          <div>
            <h2 id="heading">${unbroken(this.heading)}</h2>
            <span class="note">${inTerms(this.note)}</span>
          </div>
          <span class="actions">
            <slot name="actions"></slot>
            ${this.#saves()}
            ${
              this.table &&
              verb({ icon: 'table', name: `table of ${this.heading}`, title: 'As a table', pressed: this.open }, () =>
                this.#toggle(),
              )
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

  #saves() {
    const table = this.rows ?? this.table;
    const { picture } = this;
    if (!table && !picture) return nothing;
    const item = (label: string, save: () => void) => html`<li>
      <button
        class="quiet"
        @click=${(event: Event) => {
          if (event.target instanceof Element) event.target.closest('details')?.removeAttribute('open');
          save();
        }}
      >${label}</button>
    </li>`;
    return html`<details @keydown=${closeOnEscape} @focusout=${closeOnLeave}>
      <summary aria-label="save ${this.heading}" title="Save or copy"><sinkscope-icon name="save"></sinkscope-icon></summary>
      <ul>
        ${picture ? [item('Picture as SVG …', () => this.#draw('svg', picture)), item('Picture as PNG …', () => this.#draw('png', picture)), item('Copy picture', () => this.#draw('clipboard', picture))] : nothing}
        ${table ? item('Table as CSV …', () => this.#csv(table())) : nothing}
      </ul>
    </details>`;
  }

  #draw(kind: Wanted['kind'], draw: DrawPicture): void {
    const { name, heading: title, note } = this;
    this.#say('picture', { name, title, note, kind, draw });
  }

  #csv(table: TableData): void {
    const message: FromWebview = { type: 'save-file', name: this.name, kind: 'csv', bytes: csvBytes(table) };
    this.#say('send', message);
  }

  #say(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

/** Closes a menu, and leaves the keyboard where it was opened. */
export function closeOnEscape(event: KeyboardEvent): void {
  if (event.key !== 'Escape' || !(event.currentTarget instanceof HTMLElement)) return;
  event.currentTarget.removeAttribute('open');
  event.currentTarget.querySelector('summary')?.focus();
}

export function closeOnLeave(event: FocusEvent): void {
  if (!(event.currentTarget instanceof HTMLElement)) return;
  const inside = event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget);
  if (!inside) event.currentTarget.removeAttribute('open');
}

declare global {
  interface HTMLElementTagNameMap {
    'sinkscope-figure': Figure;
  }
}
