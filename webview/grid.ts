/**
 * A grid of coloured cells, for a handful as for a million: scrolls, zooms, is read cell by cell with the arrow keys,
 * and says what the user points at.
 *
 * The canvas is as large as what is seen of the grid and is painted anew on scrolling. Hover, keyboard cursor and
 * selection are three rectangles above it, which are moved: following the mouse or a selection repaints no cell.
 */
import { css, LitElement, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import {
  type Cell,
  type Cells,
  canvasFont,
  cellAt,
  contextOf,
  outlined,
  paintCells,
  pointOf,
  readableWidth,
  type Viewport,
  widest,
} from './cells.js';
import { cellsSvg } from './cells-svg.js';
import { Painting } from './frame.js';
import { html } from './html.js';
import type { DrawnPicture } from './picture.js';
import { hiddenStyles } from './styles.js';
import type { Theme } from './theme.js';
import { showTooltip, tooltipStyles } from './tooltip.js';

/** In CSS pixels. */
export interface CellSize {
  readonly width: readonly [min: number, max: number];
  readonly height: readonly [min: number, max: number];
  /** Tallest plot before it scrolls; of square cells, where there is room for more, the least. */
  readonly plot: number;
  /** Cells as tall as wide. */
  readonly square?: boolean;
}

export type CellEvent = CustomEvent<Cell>;

const largestCell = 160;
/** Of row labels, in CSS pixels. */
const largestGutter = 120;

@customElement('sinkscope-grid')
export class Grid extends LitElement {
  static override styles = [
    hiddenStyles,
    tooltipStyles,
    css`
      :host {
        display: block;
      }
      .scroller {
        overflow: auto;
        cursor: crosshair;
      }
      .scroller:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      .view {
        position: sticky;
        inset: 0 auto auto 0;
      }
      .base,
      .over {
        position: absolute;
        inset: 0 auto auto 0;
      }
      .over {
        overflow: hidden;
        pointer-events: none;
      }
      rect {
        fill: none;
      }
    `,
  ];

  @property({ attribute: false }) cells!: Cells;
  @property({ attribute: false }) theme!: Theme;
  @property({ attribute: false }) size!: CellSize;
  /** What the grid shows, for screen readers. */
  @property() label = '';
  /** The selected row and column; either may be open. */
  @property({
    attribute: false,
    hasChanged: (cell: Partial<Cell>, before: Partial<Cell> | undefined) =>
      cell.row !== before?.row || cell.column !== before?.column,
  })
  selected: Partial<Cell> = {};

  /** What the live region says. */
  @state() private spoken = '';

  @query('.scroller') private scroller!: HTMLElement;
  @query('.extent') private extent!: HTMLElement;
  @query('.view') private view!: HTMLElement;
  @query('.base') private base!: HTMLCanvasElement;
  @query('.over') private over!: SVGSVGElement;
  @query('.tooltip') private tooltip!: HTMLElement;

  #viewport: Viewport | undefined;
  #hover: Cell | undefined;
  #cursor: Cell = { row: 0, column: 0 };
  #zoom = 1;
  /** Cells, their size or their colours are others than those that are painted. */
  #isStale = true;
  /** The selection has moved and is not brought into view yet. */
  #isMoved = false;
  readonly #painting = new Painting(this, () => this.#paint());
  readonly #resize = new ResizeObserver(() => this.#repaint());

  override render() {
    return html`
      <div
        class="scroller"
        tabindex="0"
        role="application"
        aria-roledescription="heatmap"
        aria-label="${this.label}. Arrow keys read cells, Enter selects."
        @keydown=${this.#onKey}
        @scroll=${() => this.#painting.ask()}
        @focus=${this.#onFocus}
        @blur=${this.#leave}
        @pointermove=${this.#onPointer}
        @pointerleave=${this.#leave}
        @click=${this.#onClick}
        @wheel=${this.#onWheel}
      >
        <div class="extent">
          <div class="view">
            <canvas class="base"></canvas>
            <svg class="over" aria-hidden="true"><rect></rect><rect></rect><rect></rect></svg>
          </div>
        </div>
      </div>
      <div class="tooltip" hidden></div>
      <div class="hidden" aria-live="polite">${this.spoken}</div>
    `;
  }

  override firstUpdated(): void {
    this.#resize.observe(this);
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('cells') || changed.has('theme') || changed.has('size')) this.#repaint();
    if (changed.has('selected')) {
      const { row = this.#cursor.row, column = this.#cursor.column } = this.selected;
      this.#cursor = { row, column };
      this.#isMoved = true;
      this.#painting.ask();
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  /** The whole grid with its labels. */
  picture(theme: Theme): DrawnPicture {
    const { square = false, width } = this.size;
    const cell = width[0] >= readableWidth ? width[0] : undefined;
    return cellsSvg(this.cells, { width: square ? 480 : 640, height: square ? 480 : 400, square, cell }, theme);
  }

  /** Middle of a cell, in CSS pixels from the canvas's top left. */
  middle({ row, column }: Cell): { x: number; y: number } {
    if (this.#viewport === undefined) return { x: 0, y: 0 };
    return pointOf(this.#viewport, row + 0.5, column + 0.5);
  }

  /** Makes cells larger (factor > 1) or smaller around the middle of what is seen; undefined: the usual size again. */
  zoom(factor: number | undefined): void {
    const { scroller } = this;
    const before = this.#viewport;
    this.#zoom = factor === undefined ? 1 : Math.min(64, Math.max(1 / 64, this.#zoom * factor));
    this.#layout();
    const after = this.#viewport;
    if (before !== undefined && after !== undefined) {
      const half = (scroller.clientWidth - after.gutter) / 2;
      scroller.scrollLeft = ((before.scrollLeft + half) * after.cellWidth) / before.cellWidth - half;
      scroller.scrollTop *= after.cellHeight / before.cellHeight;
    }
    this.#repaint();
  }

  #repaint(): void {
    this.#isStale = true;
    this.#painting.ask();
  }

  /** Cells alone where they or what is seen of them changed, outlines in any case. */
  #paint(): void {
    if (this.clientWidth === 0) return;
    const before = this.#viewport;
    if (this.#isStale || before === undefined) this.#layout();
    if (this.#viewport === undefined) return;
    if (this.#isMoved) this.#reveal(this.selected);
    this.#isMoved = false;
    const { scrollLeft, scrollTop } = this.scroller;
    const viewport = { ...this.#viewport, scrollLeft, scrollTop };
    if (this.#isStale || scrollLeft !== before?.scrollLeft || scrollTop !== before.scrollTop) {
      const context = contextOf(this.base, viewport.width, viewport.height);
      if (context !== null) paintCells(context, viewport, this.cells, this.theme);
    }
    this.#isStale = false;
    this.#viewport = viewport;
    this.#outline(viewport);
  }

  #outline(viewport: Viewport): void {
    const focused = this.shadowRoot?.activeElement === this.scroller ? this.#cursor : undefined;
    const { area, row, column, pointed } = outlined(viewport, this.cells, this.selected, this.#hover ?? focused);
    setSize(this.over, area.width, area.height);
    this.over.style.left = `${area.x}px`;
    const { focus, foreground } = this.theme;
    for (const [at, outline] of [column, row, pointed].entries()) {
      const rect = this.over.children[at];
      if (!(rect instanceof SVGRectElement)) continue;
      rect.style.display = outline === undefined ? 'none' : '';
      const stroke = outline === pointed ? foreground : focus;
      for (const [name, value] of Object.entries({ ...outline, stroke })) {
        if (rect.getAttribute(name) !== `${value}`) rect.setAttribute(name, `${value}`);
      }
    }
  }

  #layout(): void {
    const { rows, columns, rowLabel, columnLabel } = this.cells;
    const { width, height, plot, square } = this.size;
    const context = this.base.getContext('2d');
    if (context === null || rows === 0 || columns === 0) return;
    context.font = canvasFont(this.theme);
    const gutter = Math.min(largestGutter, this.clientWidth / 3, widest(context, rows, rowLabel) + 8);
    const room = Math.max(1, this.clientWidth - gutter);
    const most = square === true ? Math.max(plot, Math.min(room, 0.72 * innerHeight)) : plot;
    const whole = square === true ? Math.min(room / columns, most / rows) : room / columns;
    const usual = Math.min(width[1], Math.max(width[0], whole));
    const cellWidth = Math.min(Math.max(largestCell, width[1]), Math.max(Math.min(whole, usual), usual * this.#zoom));
    const tallest = Math.min(height[1], Math.max(height[0], most / rows));
    // Rows that have to be scrolled become smaller with the columns, until all are seen.
    const cellHeight = square === true ? cellWidth : Math.min(tallest, Math.max(most / rows, tallest * this.#zoom));
    const longest = columnLabel === undefined ? 0 : widest(context, columns, columnLabel);
    const footer = longest === 0 ? 0 : longest < cellWidth ? 18 : Math.min(68, longest + 8);
    const wide = cellWidth * columns;
    const tall = cellHeight * rows;
    const shown = { width: Math.min(this.clientWidth, gutter + wide), height: Math.min(most, tall) + footer };
    setSize(this.extent, gutter + wide, tall + footer);
    setSize(this.view, shown.width, shown.height);
    // Room for the scroll bar, so that it covers no cells.
    this.scroller.style.maxHeight = `${shown.height + (wide > room + 0.5 ? 12 : 0)}px`;
    const { scrollLeft, scrollTop } = this.scroller;
    this.#viewport = {
      ...shown,
      gutter,
      footer,
      cellWidth,
      cellHeight,
      scrollLeft,
      scrollTop,
      ratio: devicePixelRatio,
    };
  }

  /** Scrolls just as far as it takes to see the cell. */
  #reveal({ row, column }: Partial<Cell>): void {
    const viewport = this.#viewport;
    if (viewport === undefined) return;
    const { scroller } = this;
    const into = (scroll: number, length: number, start: number, cell: number) =>
      Math.min(start, Math.max(scroll, start + cell - length));
    if (column !== undefined) {
      const length = viewport.width - viewport.gutter;
      scroller.scrollLeft = into(scroller.scrollLeft, length, column * viewport.cellWidth, viewport.cellWidth);
    }
    if (row !== undefined) {
      const length = viewport.height - viewport.footer;
      scroller.scrollTop = into(scroller.scrollTop, length, row * viewport.cellHeight, viewport.cellHeight);
    }
  }

  /** Reads a cell out, beside it and to screen readers. */
  #point(cell: Cell): void {
    const row = Math.min(this.cells.rows - 1, Math.max(0, cell.row));
    const column = Math.min(this.cells.columns - 1, Math.max(0, cell.column));
    this.#hover = undefined;
    this.#cursor = { row, column };
    this.#reveal(this.#cursor);
    const lines = this.cells.describe(row, column);
    this.spoken = lines.join(', ');
    this.#showTooltip(this.#cursor, lines);
    this.#painting.ask();
  }

  #showTooltip({ row, column }: Cell, lines: readonly string[]): void {
    if (this.#viewport === undefined) return;
    const { x, y } = pointOf(
      { ...this.#viewport, scrollLeft: this.scroller.scrollLeft, scrollTop: this.scroller.scrollTop },
      row,
      column,
    );
    const { left, top } = this.view.getBoundingClientRect();
    showTooltip(
      this.tooltip,
      new DOMRect(left + x, top + y, this.#viewport.cellWidth, this.#viewport.cellHeight),
      lines,
    );
  }

  #leave(): void {
    this.#hover = undefined;
    this.tooltip.hidden = true;
    this.#painting.ask();
  }

  #under(event: MouseEvent): Cell | undefined {
    const { left, top } = this.view.getBoundingClientRect();
    return this.#viewport && cellAt(this.#viewport, this.cells, event.clientX - left, event.clientY - top);
  }

  #onPointer(event: PointerEvent): void {
    const cell = this.#under(event);
    if (cell?.row === this.#hover?.row && cell?.column === this.#hover?.column) return;
    if (cell === undefined) {
      this.#leave();
      return;
    }
    this.#hover = cell;
    this.#showTooltip(cell, this.cells.describe(cell.row, cell.column));
    this.#painting.ask();
  }

  /** By the keyboard; a pointer brings a cell of its own. */
  #onFocus(): void {
    if (this.scroller.matches(':focus-visible')) this.#point(this.#cursor);
  }

  #onClick(event: MouseEvent): void {
    const cell = this.#under(event);
    if (cell === undefined) return;
    this.#point(cell);
    this.#choose(cell);
  }

  #choose(cell: Cell): void {
    this.dispatchEvent(new CustomEvent('cell', { detail: cell }));
  }

  #onWheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.25 : 0.8);
  }

  #onKey(event: KeyboardEvent): void {
    const { row, column } = this.#cursor;
    const page = 10;
    const moves: Record<string, Cell> = {
      ArrowLeft: { row, column: column - 1 },
      ArrowRight: { row, column: column + 1 },
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      Home: { row: event.ctrlKey ? 0 : row, column: 0 },
      End: { row: event.ctrlKey ? this.cells.rows - 1 : row, column: this.cells.columns - 1 },
      PageUp: { row: row - page, column },
      PageDown: { row: row + page, column },
    };
    const move = moves[event.key];
    if (move !== undefined) this.#point(move);
    else if (event.key === 'Enter' || event.key === ' ') this.#choose(this.#cursor);
    else if (event.key === 'Escape') this.#leave();
    else if (event.key === '+') this.zoom(1.25);
    else if (event.key === '-') this.zoom(0.8);
    else if (event.key === '0') this.zoom(undefined);
    else return;
    event.preventDefault();
  }
}

function setSize(element: ElementCSSInlineStyle, width: number, height: number): void {
  element.style.width = `${width}px`;
  element.style.height = `${height}px`;
}
