/** The ramp with numbers beneath: what a colour stands for. */
import { css, LitElement } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import { canvasFont, contextOf } from './cells.js';
import { html } from './html.js';
import { apart, type Scale } from './scale.js';
import { type Theme, toneAt } from './theme.js';

/** In CSS pixels; narrower where there is not so much room. */
export const legendSize = { width: 260, height: 26, bar: 8, inset: 26 };

@customElement('sinkscope-legend')
export class Legend extends LitElement {
  static override styles = css`
    :host {
      display: inline-block;
      flex: none;
      width: min(${legendSize.width}px, 100%);
    }
    canvas {
      display: block;
    }
  `;

  @property({ attribute: false }) scale!: Scale;
  @property({ attribute: false }) theme!: Theme;

  @query('canvas') private canvas!: HTMLCanvasElement;

  readonly #resize = new ResizeObserver(() => this.#draw());

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resize.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  override render() {
    return html`<canvas aria-hidden="true"></canvas>`;
  }

  override updated(): void {
    this.#draw();
  }

  #draw(): void {
    const { height } = legendSize;
    const width = this.clientWidth;
    const context = width > 0 ? contextOf(this.canvas, width, height) : null;
    context?.clearRect(0, 0, width, height);
    if (context !== null) paintLegend(context, this.scale, this.theme, width);
  }
}

/** From the context's origin on. */
export function paintLegend(
  context: CanvasRenderingContext2D,
  scale: Scale,
  theme: Theme,
  width: number = legendSize.width,
): void {
  const size = { ...legendSize, width };
  const bar = size.width - 2 * size.inset;
  for (let x = 0; x < bar; x++) {
    context.fillStyle = toneAt(theme.ramps[scale.ramp], x / (bar - 1)).color;
    context.fillRect(size.inset + x, 1, 1, size.bar);
  }
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.strokeRect(size.inset - 0.5, 0.5, bar + 1, size.bar + 1);
  context.font = canvasFont(theme, 10);
  context.fillStyle = theme.muted;
  context.textAlign = 'center';
  context.textBaseline = 'top';
  const placed = scale.ticks.map((tick) => {
    const [at, label] = [size.inset + scale.at(tick) * bar, scale.format(tick)];
    const half = context.measureText(label).width / 2 + 2;
    // A long number at an end stays within the picture.
    return { at, label, half, x: Math.min(size.width - half, Math.max(half, at)) };
  });
  for (const { at } of placed) context.fillRect(Math.min(size.inset + bar - 1, at), size.bar + 2, 1, 3);
  for (const { x, label } of apart(placed)) context.fillText(label, x, size.bar + 7);
}
