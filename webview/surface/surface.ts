/**
 * A field as a surface: turned by dragging and by arrow keys, zoomed, read peak by peak with Page Down. Nothing moves by
 * itself, so that there is nothing to be stilled for who wants no motion.
 *
 * Three canvases lie above each other: walls, the surface by WebGL 2, and ticks, names and the selection. All are painted
 * at most once a frame. Where frames take long, as without a graphics processor, fewer cells are drawn while it is turned,
 * and all of them when it rests. A lost context is taken up again when the browser gives it back.
 */
import { css, LitElement, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { contextOf } from '../cells.js';
import { Painting } from '../frame.js';
import { html } from '../html.js';
import { hiddenStyles } from '../styles.js';
import type { Theme } from '../theme.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { paintAxes, paintWalls } from './axes.js';
import {
  type Camera,
  cellUnder,
  type Projection,
  peakOf,
  project,
  projectionOf,
  startCamera,
  turned,
  zoomed,
} from './camera.js';
import type { FieldCell, HeightField } from './field.js';
import { type Detail, type SurfacePainter, surfacePainter } from './painter.js';

export type FieldCellEvent = CustomEvent<FieldCell>;
/** Whether the surface can be drawn, and why not: no WebGL 2 at all, or its context was lost and may come back. */
export type DrawableEvent = CustomEvent<Drawable>;
export type Drawable = 'yes' | 'no' | 'lost';

/** CSS pixels that a pointer may move before it turns the surface in place of choosing a cell. */
const slack = 4;
/** Degrees, of one press of a key and of a drag by one CSS pixel. */
const step = { key: 5, drag: 0.4 };

/** Milliseconds between two frames of a turn from which on they take long, and without a turn until it rests. */
const slow = 40;
const rest = 250;

@customElement('sinkscope-surface')
export class Surface extends LitElement {
  static override styles = [
    hiddenStyles,
    tooltipStyles,
    css`
      :host {
        display: block;
      }
      :host([hidden]) {
        display: none;
      }
      .stage {
        position: relative;
        height: clamp(240px, 62cqi, 520px);
        cursor: grab;
        touch-action: pan-y;
      }
      .around {
        container-type: inline-size;
      }
      .stage.turning {
        cursor: grabbing;
      }
      .stage:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
      }
    `,
  ];

  @property({ attribute: false }) field!: HeightField;
  @property({ attribute: false }) theme!: Theme;
  /** What the surface shows, for screen readers. */
  @property() label = '';
  /** The selected row and column of cells; either may be open. */
  @property({ attribute: false }) selected: Partial<FieldCell> = {};
  /** What a cell says on hover and to a screen reader. */
  @property({ attribute: false }) describe: (cell: FieldCell) => readonly string[] = () => [];

  /** What the live region says. */
  @state() private spoken = '';

  @query('.stage') private stage!: HTMLElement;
  @query('.walls') private walls!: HTMLCanvasElement;
  @query('.surface') private surface!: HTMLCanvasElement;
  @query('.axes') private axes!: HTMLCanvasElement;
  @query('.tooltip') private tooltip!: HTMLElement;

  #painter: SurfacePainter | undefined;
  #loaded: HeightField | undefined;
  #camera: Camera = startCamera;
  /** When the frame before was painted in a turn that goes on, and what ends the turn. */
  #turn: { painted: number; ending: ReturnType<typeof setTimeout> } | undefined;
  #isSlow = false;
  /** What the surface was painted from. */
  #drawn: readonly unknown[] = [];
  #pointed: FieldCell | undefined;
  /** Of the peaks, the one that was gone to last. */
  #peak = -1;
  #drag: { x: number; y: number; moved: boolean } | undefined;
  readonly #painting = new Painting(this, () => this.#paint(this.#detail()));
  readonly #resize = new ResizeObserver(() => this.#painting.ask());

  override render() {
    return html`
      <div class="around">
        <div
          class="stage"
          tabindex="0"
          role="application"
          aria-roledescription="surface"
          aria-label="${this.label}. Arrow keys turn it, plus, minus and 0 zoom, Page Down and Page Up go from peak to peak, Enter selects."
          @keydown=${this.#onKey}
          @blur=${this.#leave}
          @pointerdown=${this.#onDown}
          @pointermove=${this.#onMove}
          @pointerup=${this.#onUp}
          @pointercancel=${this.#onUp}
          @pointerleave=${this.#leave}
          @wheel=${this.#onWheel}
          @dblclick=${() => this.zoom(undefined)}
        >
          <canvas class="walls" aria-hidden="true"></canvas>
          <canvas
            class="surface"
            aria-hidden="true"
            @webglcontextlost=${this.#onLost}
            @webglcontextrestored=${this.#begin}
          ></canvas>
          <canvas class="axes" aria-hidden="true"></canvas>
        </div>
      </div>
      <div class="tooltip" hidden></div>
      <div class="hidden" aria-live="polite">${this.spoken}</div>
    `;
  }

  override firstUpdated(): void {
    this.#resize.observe(this.stage);
    this.#begin();
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('field')) {
      this.#peak = -1;
      this.#pointed = undefined;
    }
    this.#painting.ask();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
    clearTimeout(this.#turn?.ending);
  }

  /** Larger (factor > 1) or smaller around the middle; undefined: the whole, as it stood at first. */
  zoom(factor: number | undefined): void {
    this.#look(factor === undefined ? startCamera : zoomed(this.#camera, this.#extents(), factor));
  }

  /** The surface as it is turned, in the colours of a theme and fine enough for print; what is selected is of the page alone. */
  picture(theme: Theme): HTMLCanvasElement {
    const canvas = document.createElement('canvas');
    const { width, height } = this.#extents();
    const ratio = Math.max(2, devicePixelRatio);
    const context = contextOf(canvas, width, height, ratio);
    if (context === null) return canvas;
    // At once, for what a browser has shown of a context it forgets.
    this.#paint('whole', { theme, ratio });
    context.fillStyle = theme.background;
    context.fillRect(0, 0, width, height);
    for (const layer of [this.walls, this.surface, this.axes]) context.drawImage(layer, 0, 0, width, height);
    this.#paint('whole');
    return canvas;
  }

  /** Where a cell's top is seen, in CSS pixels from the stage's top left. */
  top(cell: FieldCell): { x: number; y: number } {
    const { x, y } = project(this.#view(), peakOf(this.field, cell));
    return { x, y };
  }

  #extents() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  #view(): Projection {
    return projectionOf(this.#camera, this.#extents());
  }

  #look(camera: Camera): void {
    this.#camera = camera;
    this.tooltip.hidden = true;
    clearTimeout(this.#turn?.ending);
    const ending = setTimeout(() => {
      this.#turn = undefined;
      if (this.#isSlow) this.#painting.ask();
    }, rest);
    this.#turn = { painted: this.#turn?.painted ?? Number.POSITIVE_INFINITY, ending };
    this.#painting.ask();
  }

  /** How much is drawn now: of two frames in a row that are far apart, the turn was slow. */
  #detail(): Detail {
    if (this.#turn === undefined) return 'whole';
    const now = performance.now();
    if (now - this.#turn.painted > slow) this.#isSlow = true;
    this.#turn.painted = now;
    return this.#isSlow ? 'coarse' : 'whole';
  }

  readonly #begin = () => {
    this.#loaded = undefined;
    this.#painter = surfacePainter(this.surface);
    this.#say<DrawableEvent>('drawable', this.#painter ? 'yes' : 'no');
    this.#painting.ask();
  };

  readonly #onLost = (event: Event) => {
    // Without this the browser gives no context back.
    event.preventDefault();
    this.#painter = undefined;
    this.#say<DrawableEvent>('drawable', 'lost');
  };

  /** @param print the theme and pixels of a picture that is taken, without which the page's are meant */
  #paint(detail: Detail, print?: { readonly theme: Theme; readonly ratio: number }): void {
    const { theme, ratio } = print ?? { theme: this.theme, ratio: devicePixelRatio };
    const { width, height } = this.#extents();
    if (width === 0 || this.field.rows === 0 || this.field.columns === 0) return;
    const view = this.#view();
    const clean = (canvas: HTMLCanvasElement) => {
      const context = contextOf(canvas, width, height, ratio);
      context?.clearRect(0, 0, width, height);
      return context;
    };
    const axes = clean(this.axes);
    const marked = print ? { selected: {}, pointed: undefined } : { selected: this.selected, pointed: this.#pointed };
    if (axes) paintAxes(axes, this.field, view, theme, marked);
    // Pointing and selecting are painted above: what is behind is left as it is as long as nothing of it is another.
    const parts = [this.#painter, this.field, theme, this.#camera, width, height, ratio, detail];
    if (!print && parts.every((part, at) => part === this.#drawn[at])) return;
    this.#drawn = print ? [] : parts;
    const walls = clean(this.walls);
    if (walls) paintWalls(walls, this.field, view, theme);
    if (!this.#painter) return;
    const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.surface.width !== wide) this.surface.width = wide;
    if (this.surface.height !== tall) this.surface.height = tall;
    if (this.#loaded !== this.field) {
      this.#loaded = this.field;
      this.#painter.load(this.field);
    }
    this.#painter.paint(view, theme, detail);
  }

  #point(cell: FieldCell | undefined): void {
    this.#pointed = cell;
    if (cell === undefined) this.tooltip.hidden = true;
    else {
      const { left, top } = this.stage.getBoundingClientRect();
      const { x, y } = this.top(cell);
      showTooltip(this.tooltip, new DOMRect(left + x, top + y, 1, 1), this.describe(cell));
    }
    this.#painting.ask();
  }

  readonly #leave = () => {
    if (!this.#drag) this.#point(undefined);
  };

  #choose(cell: FieldCell): void {
    this.#say<FieldCellEvent>('cell', cell);
  }

  #say<E extends CustomEvent>(type: string, detail: E['detail']): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #under({ clientX, clientY }: MouseEvent): FieldCell | undefined {
    const { left, top } = this.stage.getBoundingClientRect();
    return cellUnder(this.field, this.#view(), clientX - left, clientY - top);
  }

  #onDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#drag = { x: event.clientX, y: event.clientY, moved: false };
    this.stage.setPointerCapture(event.pointerId);
  }

  #onMove(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag === undefined) {
      const cell = this.#under(event);
      if (cell?.row !== this.#pointed?.row || cell?.column !== this.#pointed?.column) this.#point(cell);
      return;
    }
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(x, y) < slack) return;
    this.#drag = { x: event.clientX, y: event.clientY, moved: true };
    this.stage.classList.add('turning');
    this.#pointed = undefined;
    const { shift } = this.#camera;
    if (event.shiftKey) this.#look({ ...this.#camera, shift: { x: shift.x + x, y: shift.y + y } });
    else this.#look(turned(this.#camera, x * step.drag, y * step.drag));
  }

  #onUp(event: PointerEvent): void {
    const drag = this.#drag;
    this.#drag = undefined;
    this.stage.classList.remove('turning');
    if (drag === undefined || drag.moved || event.type === 'pointercancel') return;
    const cell = this.#under(event);
    if (cell) this.#choose(cell);
  }

  #onWheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { left, top } = this.stage.getBoundingClientRect();
    const around = { x: event.clientX - left, y: event.clientY - top };
    this.#look(zoomed(this.#camera, this.#extents(), event.deltaY < 0 ? 1.25 : 0.8, around));
  }

  #onKey(event: KeyboardEvent): void {
    const by = (azimuth: number, elevation: number) => () => this.#look(turned(this.#camera, azimuth, elevation));
    const keys: Record<string, () => void> = {
      ArrowLeft: by(-step.key, 0),
      ArrowRight: by(step.key, 0),
      ArrowUp: by(0, step.key),
      ArrowDown: by(0, -step.key),
      '+': () => this.zoom(1.25),
      '-': () => this.zoom(0.8),
      '0': () => this.zoom(undefined),
      Home: () => this.zoom(undefined),
      PageDown: () => this.#goTo(this.#peak + 1),
      PageUp: () => this.#goTo(this.#peak - 1),
      Enter: () => this.#chooseGoneTo(),
      ' ': () => this.#chooseGoneTo(),
      Escape: () => this.#point(undefined),
    };
    const act = keys[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  /** To a peak by its rank, beginning anew behind the last. */
  #goTo(peak: number): void {
    const { length } = this.field.peaks;
    if (length === 0) return;
    this.#peak = ((peak % length) + length) % length;
    const cell = this.field.peaks[this.#peak];
    if (cell === undefined) return;
    this.#point(cell);
    this.spoken = this.describe(cell).join(', ');
  }

  #chooseGoneTo(): void {
    const cell = this.#pointed ?? this.field.peaks[0];
    if (cell) this.#choose({ row: cell.row, column: cell.column });
  }
}
