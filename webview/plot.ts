/** A plot of Observable Plot in its place in an element: as wide as the place, drawn anew when that changes. */
import type { plot } from '@observablehq/plot';
import type { ReactiveController, ReactiveElement } from 'lit';
import { type DrawnPicture, plotSvg } from './picture.js';
import type { Theme } from './theme.js';

/** What Plot gives where there is no legend: a picture that knows its scales. */
export type Drawing = ReturnType<typeof plot>;

/** Of plots in pictures, in CSS pixels. */
const pictureWidth = 640;

export class PlotPlace implements ReactiveController {
  /** The plot as it is shown; undefined before its width is known. */
  drawing: Drawing | undefined;
  /** In CSS pixels. */
  #width = 0;
  #place: Element | undefined;
  readonly #resize = new ResizeObserver(() => {
    const width = Math.round(this.#place?.clientWidth ?? 0);
    if (width === this.#width || width === 0) return;
    this.#width = width;
    this.draw();
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
