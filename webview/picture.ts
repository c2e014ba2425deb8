/** A view's canvas as a picture that can stand alone: with its title, its scale and the conditions of the run. */

import { greatest } from '../src/statistics/numbers.js';
import { visible } from '../src/visible.js';
import { canvasFont, contextOf } from './cells.js';
import { legendSize, paintLegend } from './legend.js';
import type { Scale } from './scale.js';
import type { Theme } from './theme.js';

/** What is drawn, larger than it is shown by the ratio of its pixels to its style's width. */
export interface Drawn {
  readonly canvas: HTMLCanvasElement;
  /** What its colours stand for. */
  readonly scale?: Scale | undefined;
}

/** PNG bytes. */
export async function framedPicture(
  { canvas, scale }: Drawn,
  title: string,
  conditions: string,
  theme: Theme,
): Promise<Uint8Array> {
  const ratio = canvas.width / (Number.parseFloat(canvas.style.width) || canvas.width);
  const [width, height] = [canvas.width / ratio, canvas.height / ratio];
  const margin = 12;
  const head = 24;
  const key = scale ? legendSize.height + 6 : 0;
  const framed = document.createElement('canvas');
  const context = framed.getContext('2d');
  if (context === null) throw new Error('This browser gives no 2D canvas.');
  const lines = [
    { text: title, font: `600 ${canvasFont(theme, 14)}`, color: theme.foreground, top: margin },
    { text: conditions, font: canvasFont(theme), color: theme.muted, top: margin + head + height + key + 8 },
  ];
  const widths = lines.map(({ text, font }) => {
    context.font = font;
    return context.measureText(visible(text)).width;
  });
  framed.width = Math.ceil(ratio * (greatest(widths, width) + 2 * margin));
  framed.height = Math.ceil(ratio * (head + height + key + 20 + 2 * margin));
  context.fillStyle = theme.background;
  context.fillRect(0, 0, framed.width, framed.height);
  context.drawImage(canvas, ratio * margin, ratio * (margin + head));
  context.scale(ratio, ratio);
  if (scale) {
    context.save();
    context.translate(margin, margin + head + height + 4);
    paintLegend(context, scale, theme);
    context.restore();
  }
  context.textAlign = 'left';
  context.textBaseline = 'top';
  for (const { text, font, color, top } of lines) {
    context.font = font;
    context.fillStyle = color;
    context.fillText(visible(text), margin, top);
  }
  const blob = await new Promise<Blob | null>((resolve) => framed.toBlob(resolve, 'image/png'));
  if (blob === null) throw new Error('The picture is too large for this browser.');
  return new Uint8Array(await blob.arrayBuffer());
}

/** A plot as pixels, twice as many as it has on screen; its colours are written into it, so it needs no style sheet. */
export async function svgPicture(svg: SVGSVGElement, theme: Theme): Promise<HTMLCanvasElement> {
  const { width, height } = svg.viewBox.baseVal;
  const copy = svg.cloneNode(true) as SVGSVGElement;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    const context = contextOf(canvas, width, height, 2);
    if (context !== null) {
      context.fillStyle = theme.background;
      context.fillRect(0, 0, width, height);
      context.drawImage(image, 0, 0, width, height);
    }
    return canvas;
  } finally {
    URL.revokeObjectURL(url);
  }
}
