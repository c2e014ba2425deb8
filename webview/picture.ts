/** A view's canvas as a picture that can stand alone: with its title and the conditions of the run. */

import { greatest } from '../src/statistics/numbers.js';
import { visible } from '../src/visible.js';
import { canvasFont } from './cells.js';
import type { Theme } from './theme.js';

/** PNG bytes. */
export async function framedPicture(
  canvas: HTMLCanvasElement,
  title: string,
  conditions: string,
  theme: Theme,
): Promise<Uint8Array> {
  const scale = devicePixelRatio;
  const margin = 12 * scale;
  const framed = document.createElement('canvas');
  const context = framed.getContext('2d');
  if (context === null) throw new Error('This browser gives no 2D canvas.');
  const lines = [
    { text: title, font: `600 ${canvasFont(theme, 14 * scale)}`, color: theme.foreground, top: margin },
    {
      text: conditions,
      font: canvasFont(theme, 11 * scale),
      color: theme.muted,
      top: margin + 32 * scale + canvas.height,
    },
  ];
  const widths = lines.map(({ text, font }) => {
    context.font = font;
    return context.measureText(visible(text)).width;
  });
  framed.width = Math.ceil(greatest(widths, canvas.width) + 2 * margin);
  framed.height = Math.ceil(canvas.height + 44 * scale + 2 * margin);
  context.fillStyle = theme.background;
  context.fillRect(0, 0, framed.width, framed.height);
  context.drawImage(canvas, margin, margin + 24 * scale);
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
    [canvas.width, canvas.height] = [width * 2, height * 2];
    const context = canvas.getContext('2d');
    if (context !== null) {
      context.fillStyle = theme.background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
    }
    return canvas;
  } finally {
    URL.revokeObjectURL(url);
  }
}
