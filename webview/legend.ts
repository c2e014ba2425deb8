/** The ramp with numbers beneath: what a colour stands for. */
import { css, html, LitElement } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import { canvasFont, contextOf } from './cells.js';
import { type Theme, toneAt } from './theme.js';

export interface Scale {
  /** Values at the two ends of the ramp. */
  readonly from: number;
  readonly to: number;
  /** Place of a value on the ramp, 0 … 1 within the ends. */
  at(value: number): number;
  readonly ticks: readonly number[];
  format(value: number): string;
}

/** A logarithmic scale with ticks at powers of ten and at its ends. */
export function logScale(from: number, to: number, format: (value: number) => string): Scale {
  const [low, high] = [Math.log(from), Math.log(Math.max(to, from * 1.0001))];
  const at = (value: number) => (Math.log(value) - low) / (high - low);
  const powers = Array.from({ length: 24 }, (_, power) => 10 ** (power - 12));
  const inner = powers.filter((power) => at(power) > 0.12 && at(power) < 0.85);
  return { from, to, at, ticks: [from, ...inner, to], format };
}

export function linearScale(from: number, to: number, format: (value: number) => string): Scale {
  const at = (value: number) => (value - from) / (to - from);
  return { from, to, at, ticks: [from, (from + to) / 2, to], format };
}

const size = { width: 260, height: 26, bar: 8, inset: 26 };

@customElement('sinkscope-legend')
export class Legend extends LitElement {
  static override styles = css`
    :host {
      display: inline-block;
    }
    canvas {
      display: block;
    }
  `;

  @property({ attribute: false }) scale!: Scale;
  @property({ attribute: false }) theme!: Theme;

  @query('canvas') private canvas!: HTMLCanvasElement;

  override render() {
    return html`<canvas aria-hidden="true"></canvas>`;
  }

  override updated(): void {
    paint(this.canvas, this.scale, this.theme);
  }
}

function paint(canvas: HTMLCanvasElement, scale: Scale, theme: Theme): void {
  const context = contextOf(canvas, size.width, size.height);
  if (context === null) return;
  context.clearRect(0, 0, size.width, size.height);
  const bar = size.width - 2 * size.inset;
  for (let x = 0; x < bar; x++) {
    context.fillStyle = toneAt(theme, x / (bar - 1)).color;
    context.fillRect(size.inset + x, 1, 1, size.bar);
  }
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.strokeRect(size.inset - 0.5, 0.5, bar + 1, size.bar + 1);
  context.font = canvasFont(theme, 10);
  context.fillStyle = theme.muted;
  context.textAlign = 'center';
  context.textBaseline = 'top';
  for (const tick of scale.ticks) {
    const x = size.inset + scale.at(tick) * bar;
    context.fillRect(Math.min(size.inset + bar - 1, x), size.bar + 2, 1, 3);
    context.fillText(scale.format(tick), x, size.bar + 7);
  }
}
