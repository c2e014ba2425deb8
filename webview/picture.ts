/** A view's picture as it stands alone, in print: with its title, what its colours and lines mean, and the run's conditions. */
import type { FromWebview } from '../src/protocol.js';
import { greatest } from '../src/statistics/numbers.js';
import { apart, type Scale } from './scale.js';
import { escaped, rounded, svgRect, svgText, textWidth, wrapped } from './svg.js';
import { type Theme, toneAt } from './theme.js';
import { printTheme } from './themes.js';

/** SVG from the origin on, in CSS pixels. */
export interface DrawnPicture {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
  /** What lines and frames stand for. */
  readonly key?: readonly KeyEntry[];
  /** What colours stand for. */
  readonly scale?: Scale | undefined;
}

export interface KeyEntry {
  readonly text: string;
  readonly color: string;
  /** Of a line; undefined: a frame round a cell. */
  readonly line?: { readonly dashes: string };
  /** Of a frame. */
  readonly dashed?: boolean;
  /** A point in place of a frame. */
  readonly dot?: boolean;
  /** A pale band in place of a frame. */
  readonly band?: boolean;
}

export interface PictureWords {
  readonly title: string;
  /** What is drawn, beneath the title. */
  readonly note: string;
  readonly conditions: string;
}

/** What a picture that is taken out of the page is made of. */
export interface Wanted {
  readonly name: string;
  readonly title: string;
  readonly note: string;
  readonly kind: 'svg' | 'png' | 'clipboard';
  draw(theme: Theme): DrawnPicture | Promise<DrawnPicture>;
}

/**
 * Puts the picture where it is wanted, drawn for print, whatever the page's theme.
 *
 * @param send has it saved, which is done as well where a picture cannot be put on the clipboard
 * @returns whether it is on the clipboard, which nothing shows by itself
 */
export async function takePicture(
  wanted: Wanted,
  conditions: string,
  send: (message: FromWebview) => void,
): Promise<boolean> {
  if (wanted.kind === 'clipboard') {
    // Promised at once: a page may write there right after a click alone.
    const png = pictureBytes(wanted, conditions).then((bytes) => new Blob([bytes], { type: 'image/png' }));
    try {
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
      return true;
    } catch {
      // Refused, or not known here.
    }
  }
  const kind = wanted.kind === 'svg' ? 'svg' : 'png';
  send({ type: 'save-file', name: wanted.name, kind, bytes: await pictureBytes(wanted, conditions) });
  return false;
}

async function pictureBytes({ title, note, kind, draw }: Wanted, conditions: string): Promise<Uint8Array<ArrayBuffer>> {
  const theme = printTheme();
  const framed = framedSvg(await draw(theme), { title, note, conditions }, theme);
  return kind === 'svg' ? new TextEncoder().encode(framed.svg) : await pngOf(framed);
}

const margin = 16;
const least = 360;

/** The whole picture as an SVG file. */
export function framedSvg(drawn: DrawnPicture, { title, note, conditions }: PictureWords, theme: Theme): DrawnPicture {
  const { svg, width, height, scale, key = [] } = drawn;
  const inner = greatest([width, least, Math.min(720, textWidth(title, 15))]);
  const parts: string[] = [];
  let y = margin;
  const lines = (text: string, size: number, fill: string, bold = false) => {
    for (const line of text === '' ? [] : wrapped(text, inner, size)) {
      y += size * 1.35;
      parts.push(svgText(margin, y - size * 0.3, line, { size, fill, bold }));
    }
  };
  lines(title, 15, theme.foreground, true);
  lines(note, 12, theme.muted);
  y += 8;
  parts.push(`<g transform="translate(${margin} ${rounded(y)})">${svg}</g>`);
  y += height + 10;
  if (scale) {
    parts.push(`<g transform="translate(${margin} ${rounded(y)})">${legendSvg(scale, theme)}</g>`);
    y += legend.height + 6;
  }
  for (const row of keyRows(key, inner)) {
    let x = margin;
    for (const entry of row) {
      parts.push(keySvg(entry, x, y), svgText(x + 30, y + 10, entry.text, { fill: theme.foreground }));
      x += keyWidth(entry);
    }
    y += 17;
  }
  y += 2;
  lines(conditions, 10, theme.muted);
  const [wide, tall] = [Math.ceil(inner + 2 * margin), Math.ceil(y + margin)];
  const whole = `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${tall}" viewBox="0 0 ${wide} ${tall}" font-family="${escaped(theme.font)}" role="img"><title>${escaped(title)}</title><desc>${escaped([note, conditions].filter((text) => text !== '').join('. '))}</desc>${svgRect(0, 0, wide, tall, theme.background)}${parts.join('\n')}</svg>\n`;
  return { svg: whole, width: wide, height: tall };
}

const legend = { width: 300, bar: 10, inset: 30, height: 30 };

function legendSvg(scale: Scale, theme: Theme): string {
  const { width, bar, inset } = legend;
  const room = width - 2 * inset;
  const steps = 100;
  const tones = Array.from({ length: steps }, (_, step) =>
    svgRect(
      inset + (step * room) / steps,
      0,
      room / steps + 0.3,
      bar,
      toneAt(theme.ramps[scale.ramp], step / (steps - 1)).color,
    ),
  );
  const placed = scale.ticks.map((tick) => {
    const label = scale.format(tick);
    return { x: inset + Math.min(1, Math.max(0, scale.at(tick))) * room, label, half: textWidth(label) / 2 };
  });
  const ticks = placed.map(({ x }) => svgRect(x - 0.5, bar, 1, 4, theme.foreground));
  const labels = apart(placed).map(({ x, label }) =>
    svgText(x, bar + 15, label, { size: 10, fill: theme.foreground, anchor: 'middle' }),
  );
  return `${tones.join('')}${ticks.join('')}${labels.join('')}`;
}

const keyWidth = ({ text }: KeyEntry) => 30 + textWidth(text) + 18;

function keyRows(key: readonly KeyEntry[], room: number): KeyEntry[][] {
  const rows: KeyEntry[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const entry of key) {
    if (used + keyWidth(entry) > room) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1)?.push(entry);
    used += keyWidth(entry);
  }
  return rows;
}

function keySvg({ color, line, dashed, dot, band }: KeyEntry, x: number, y: number): string {
  const stroke = `stroke="${escaped(color)}"`;
  if (line) {
    const dashes = line.dashes === '' ? '' : ` stroke-dasharray="${escaped(line.dashes)}"`;
    return `<line x1="${x}" x2="${x + 24}" y1="${y + 6}" y2="${y + 6}" ${stroke} stroke-width="2"${dashes}/>`;
  }
  if (dot) return `<circle cx="${x + 13}" cy="${y + 6}" r="4" fill="${escaped(color)}"/>`;
  if (band) return `<rect x="${x + 9}" y="${y}" width="8" height="12" fill="${escaped(color)}" fill-opacity="0.2"/>`;
  return `<rect x="${x + 7}" y="${y}" width="11" height="11" fill="none" ${stroke} stroke-width="1.5"${dashed ? ' stroke-dasharray="2 2"' : ''}/>`;
}

/** Pixels of a PNG for each CSS pixel, of a picture that is not too large for it: 300 to the inch in print. */
const fine = 3;
/** Pixels along one side that every browser can hold. */
const largest = 8192;

/** PNG bytes of an SVG file. */
export async function pngOf({ svg, width, height }: DrawnPicture): Promise<Uint8Array<ArrayBuffer>> {
  const ratio = Math.min(fine, largest / Math.max(width, height));
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (blob === null) throw new Error('The picture is too large for this browser.');
    return new Uint8Array(await blob.arrayBuffer());
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** What was painted, as it is: a surface, a photograph. */
export function paintedSvg(canvas: HTMLCanvasElement): DrawnPicture {
  const width = Number.parseFloat(canvas.style.width) || canvas.width;
  const height = Number.parseFloat(canvas.style.height) || canvas.height;
  return { svg: `<image width="${width}" height="${height}" href="${canvas.toDataURL()}"/>`, width, height };
}

/** A plot as a part of a picture; its colours are written into it, so it needs no style sheet. */
export function plotSvg(plot: SVGSVGElement): DrawnPicture {
  const { width, height } = plot.viewBox.baseVal;
  const copy = plot.cloneNode(true) as SVGSVGElement;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('overflow', 'visible');
  copy.removeAttribute('class');
  return { svg: new XMLSerializer().serializeToString(copy), width, height };
}
