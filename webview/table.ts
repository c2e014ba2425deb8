/** A native table of numbers, a page at a time; sortable and selectable where its owner says how. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { formatAligned, formatNumber } from '../src/analysis/format.js';
import { formatCell } from '../src/analysis/presentation.js';
import { html } from './html.js';
import { hiddenStyles, quietButtonStyles } from './styles.js';
import type { DrawnCell, TableData } from './tabled.js';
import { unbroken } from './terms.js';

export type { TableData };

const pageLength = 100;
/** Letters of a name that stands in one line, however narrow the panel is. */
const longest = 20;

@customElement('sinkscope-table')
export class Table extends LitElement {
  static override styles = [
    hiddenStyles,
    quietButtonStyles,
    css`
      .scroller {
        /* What is for screen readers alone is placed in here, and scrolls with the rest. */
        position: relative;
        overflow: auto;
        max-height: var(--table-height, 320px);
        container-type: inline-size;
      }
      .scroller:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
      }
      table {
        width: var(--table-width, auto);
        table-layout: var(--table-layout, auto);
        border-collapse: collapse;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      caption {
        padding: 2px 0;
        text-align: left;
        font-size: 0.92em;
        color: var(--muted);
        white-space: normal;
        /* Where the table is wider than there is room for, what it is about is read without scrolling. */
        position: sticky;
        left: 0;
        max-width: 100cqi;
      }
      th,
      td {
        padding: 2px 8px 2px 0;
        text-align: right;
        font-weight: normal;
      }
      th:first-child,
      td:first-child {
        text-align: left;
        padding-left: 4px;
      }
      th.words,
      td.words {
        text-align: left;
      }
      thead th {
        position: sticky;
        top: 0;
        color: var(--muted);
        background: var(--ground);
        border-bottom: 1px solid var(--rule);
        vertical-align: bottom;
      }
      tbody tr:hover {
        background: var(--vscode-list-hoverBackground);
      }
      tbody tr.selected {
        color: var(--vscode-list-activeSelectionForeground);
        background: var(--vscode-list-activeSelectionBackground);
        outline: 1px solid var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      tr.selectable {
        cursor: pointer;
      }
      th span,
      td {
        white-space: var(--table-wrap, pre);
        overflow-wrap: var(--table-break, normal);
      }
      th button {
        min-width: 24px;
        min-height: 24px;
        padding: 0;
        color: inherit;
        background: none;
        border: none;
        font: inherit;
        white-space: pre;
        cursor: pointer;
      }
      thead th,
      thead button {
        white-space: normal;
      }
      /* In a narrow panel a line for each word would be higher than the rows that are seen. */
      th.long {
        min-width: 8em;
      }
      th button {
        text-align: inherit;
      }
      tr.selectable > * {
        padding-block: 0;
      }
      .measured {
        display: flex;
        align-items: center;
        justify-content: flex-end;
        gap: 6px;
      }
      .measured span {
        min-width: 4em;
      }
      .bar {
        width: 64px;
        height: 9px;
        background: color-mix(in srgb, var(--vscode-foreground) 10%, transparent);
      }
      .bar i {
        display: block;
        height: 100%;
        background: var(--bar);
      }
      .shades {
        display: inline-flex;
        gap: 2px;
        vertical-align: middle;
      }
      .shades i {
        width: 14px;
        height: 14px;
        box-sizing: border-box;
        border: 1px solid color-mix(in srgb, var(--vscode-foreground) 35%, transparent);
        background: color-mix(in srgb, var(--vscode-charts-purple) var(--place, 0%), transparent);
      }
      .drawn td.words {
        min-width: 9em;
        white-space: pre-wrap;
      }
      .drawn th:first-child {
        position: sticky;
        left: 0;
        z-index: 1;
        background: var(--ground);
      }
      .drawn tr.selected th:first-child {
        background: var(--vscode-list-activeSelectionBackground, var(--ground));
        outline: 1px solid var(--vscode-contrastActiveBorder, transparent);
        outline-offset: -1px;
      }
      @media (max-width: 620px) {
        .measured {
          flex-direction: column-reverse;
          align-items: stretch;
          gap: 0;
        }
        .measured span {
          min-width: 0;
        }
        /* Else what a row is about leaves no room for what is said of it. */
        th.long span {
          white-space: pre-wrap;
        }
        .bar {
          width: auto;
          min-width: 34px;
          height: 3px;
        }
        .shades {
          gap: 1px;
        }
        .shades i {
          width: 7px;
        }
      }
      button:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
      }
    `,
  ];

  @property({ attribute: false }) data!: TableData;

  @state() private page = 0;
  @state() private sorted: { readonly column: number; readonly direction: 1 | -1 } | undefined;

  override render() {
    const { data } = this;
    const pages = Math.max(1, Math.ceil(data.rows / pageLength));
    const page = Math.min(this.page, pages - 1);
    const rows = this.#rows().slice(page * pageLength, (page + 1) * pageLength);
    const numbers = this.#numbers(rows);
    return html`
      <div class="scroller" tabindex="0" role="group" aria-label=${data.caption}>
        <table class=${data.drawn ? 'drawn' : ''}>
          <caption class=${data.captioned ? 'hidden' : ''}>${data.caption}</caption>
          <thead>
            <tr>${data.columns.map(({ name }, column) => this.#header(name, column))}</tr>
          </thead>
          <tbody>${rows.map((row) => this.#row(row, numbers))}</tbody>
        </table>
      </div>
      ${pages === 1 ? nothing : this.#pager(page, pages)}
    `;
  }

  #rows(): number[] {
    const rows = Array.from({ length: this.data.rows }, (_, row) => row);
    const { order } = this.data;
    const { sorted } = this;
    if (order === undefined || sorted === undefined) return rows;
    const keys = rows.map((row) => order(row)[sorted.column] ?? Number.NaN);
    const key = (row: number) => keys[row] ?? Number.NaN;
    return rows.sort((a, b) => sorted.direction * (key(a) - key(b)));
  }

  #header(name: string, column: number) {
    const kind = `${this.#kind(column)}${name.length > longest ? ' long' : ''}`;
    if (this.data.order === undefined) return html`<th scope="col" class=${kind}>${unbroken(name)}</th>`;
    const direction = this.sorted?.column === column ? this.sorted.direction : undefined;
    const said = direction === undefined ? 'none' : direction === 1 ? 'ascending' : 'descending';
    const arrow = direction === undefined ? '' : direction === 1 ? ' ↑' : ' ↓';
    return html`<th scope="col" class=${kind} aria-sort=${said}>
      <button
        @click=${() => {
          this.sorted = { column, direction: direction === -1 ? 1 : -1 };
        }}
      >${unbroken(name)}${arrow}</button>
    </th>`;
  }

  #kind(column: number): string {
    return this.data.words?.[column] ? 'words' : '';
  }

  /** By column how its numbers are written: whole ones as they are, others so that their digits stand below one another. */
  #numbers(rows: readonly number[]) {
    const isWhole = this.data.columns.map(() => true);
    for (const row of rows)
      for (const [column, value] of this.data.cells(row).entries())
        if (typeof value === 'number' && !Number.isInteger(value)) isWhole[column] = false;
    return isWhole.map((whole) => (whole ? formatNumber : formatAligned));
  }

  #row(row: number, numbers: readonly (typeof formatNumber)[]) {
    const { data } = this;
    const selectable = data.selectable === true;
    const choose = () => this.dispatchEvent(new CustomEvent('row', { detail: row }));
    const values = data.cells(row);
    const [first, ...others] = data.columns.map(({ format }, i) => formatCell(values[i] ?? null, format, numbers[i]));
    const drawn = data.drawn?.(row) ?? [];
    return html`<tr
      class="${selectable ? 'selectable' : ''} ${row === data.selected ? 'selected' : ''}"
      @click=${selectable ? choose : nothing}
    >
      <th scope="row" class=${first !== undefined && first.length > longest ? 'long' : ''}>
        ${selectable ? html`<button aria-label=${data.named?.(row) ?? nothing} aria-pressed=${row === data.selected}>${first}</button>` : html`<span>${first}</span>`}
      </th>
      ${others.map((cell, i) => html`<td class=${this.#kind(i + 1)}>${this.#cell(cell, drawn[i + 1])}</td>`)}
    </tr>`;
  }

  #cell(text: string, drawn: DrawnCell | undefined) {
    if (drawn === undefined) return text;
    if ('bar' in drawn) {
      const length = `inline-size: ${Math.round(100 * drawn.bar)}%`;
      return html`<span class="measured"><i class="bar" aria-hidden="true"><i .style=${length}></i></i><span>${text}</span></span>`;
    }
    return html`<span class="shades" aria-hidden="true">${drawn.shades.map(
      ({ place, text }) =>
        html`<i title=${text} .style=${place === undefined ? '' : `--place: ${Math.round(100 * place)}%`}></i>`,
    )}</span><span class="hidden">${text}</span>`;
  }

  #pager(page: number, pages: number) {
    const go = (to: number) => () => {
      this.page = to;
    };
    return html`<div>
      <button class="quiet" ?disabled=${page === 0} @click=${go(page - 1)}>Previous</button>
      rows ${formatNumber(page * pageLength + 1)}–${formatNumber(Math.min(this.data.rows, (page + 1) * pageLength))} of ${formatNumber(this.data.rows)}
      <button class="quiet" ?disabled=${page === pages - 1} @click=${go(page + 1)}>Next</button>
    </div>`;
  }
}
