/** A plot of Observable Plot in its place in an element: as wide as the place, drawn anew when that changes. */
import { axisX, axisY, initializer, type plot, text } from '@observablehq/plot';
import type { ReactiveController, ReactiveElement } from 'lit';
import { greatest } from '../src/statistics/numbers.js';
import { canvasFont } from './cells.js';
import { type DrawnPicture, plotSvg } from './picture.js';
import { spread } from './scale.js';
import { textWidth } from './svg.js';
import type { Theme } from './theme.js';

/** What Plot gives where there is no legend: a picture that knows its scales. */
export type Drawing = ReturnType<typeof plot>;

/** What a line is called, at its right end. */
export interface EndLabel {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly color: string;
}

let ruler: CanvasRenderingContext2D | null | undefined;

/** Room that labels need beside a plot, in CSS pixels: fonts differ by a quarter in how wide they are. */
export function roomFor(labels: readonly string[], theme: Theme): number {
  ruler ??= document.createElement('canvas').getContext('2d');
  if (ruler !== null) ruler.font = canvasFont(theme);
  const widths = labels.map((label) => ruler?.measureText(label).width ?? textWidth(label));
  return Math.ceil(greatest(widths, 0)) + 12;
}

/** Labels at the ends of lines, none on another. */
export function endLabels(labels: readonly EndLabel[]) {
  const options = {
    x: 'x',
    y: 'y',
    text: 'text',
    textAnchor: 'start',
    dx: 7,
    fill: (label: EndLabel) => label.color,
  } as const;
  return text(
    labels,
    initializer(options, (data, facets, _, scales, { marginTop, height, marginBottom }) => {
      const wanted = labels.map(({ y }) => Number(scales.y?.(y)));
      return { data, facets, channels: { y: { value: spread(wanted, 12, marginTop, height - marginBottom) } } };
    }),
  );
}

/**
 * The axis of a logarithmic scale, each of whose ticks is called; the scale's own is to be left out. That would call those
 * alone that D3 finds apart, over lines of all.
 */
export function logAxis(which: 'x' | 'y', ticks: readonly number[], format: (tick: number) => string, label: string) {
  const options = { text: format, tickSize: 0, label, labelArrow: 'none' } as const;
  return which === 'x' ? axisX(ticks, options) : axisY(ticks, options);
}

/** Of plots in pictures, in CSS pixels. */
export const pictureWidth = 640;

export class PlotPlace implements ReactiveController {
  /** The plot as it is shown; undefined before its width is known. */
  drawing: Drawing | undefined;
  #width = 0;
  #place: Element | undefined;
  readonly #resize = new ResizeObserver(() => {
    const width = Math.round(this.#place?.clientWidth ?? 0);
    if (width === this.#width || width === 0) return;
    this.#width = width;
    this.draw();
    this.host.requestUpdate();
  });

  /**
   * @param host draws the element of class `plot` and calls {@link draw} when what is plotted has changed
   * @param make the plot for a width in CSS pixels, in the page's theme or in another one
   */
  constructor(
    private readonly host: ReactiveElement,
    private readonly make: (width: number, theme?: Theme) => Drawing,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.hostUpdated();
  }

  hostUpdated(): void {
    const place = this.host.renderRoot.querySelector('.plot') ?? undefined;
    if (place === this.#place) return;
    this.#resize.disconnect();
    this.#place = place;
    if (place) this.#resize.observe(place);
  }

  hostDisconnected(): void {
    this.#resize.disconnect();
    this.#place = undefined;
  }

  /** In CSS pixels; 0 before it is known. */
  get width(): number {
    return this.#width;
  }

  draw(): void {
    if (this.#width === 0) return;
    this.drawing?.remove();
    this.drawing = this.make(this.#width);
    // Plot's own style sheet would be refused by the webview's policy; what it says is said in `plotStyles`.
    for (const style of this.drawing.querySelectorAll('style')) style.remove();
    this.drawing.setAttribute('aria-hidden', 'true');
    this.#place?.append(this.drawing);
  }

  /** The plot as a part of a picture. */
  picture(theme: Theme): DrawnPicture {
    const drawing = this.make(pictureWidth, theme);
    for (const style of drawing.querySelectorAll('style')) style.remove();
    if (!(drawing instanceof SVGSVGElement)) throw new Error('This plot is no picture.');
    return plotSvg(drawing);
  }
}
