/** Painting the patches of a picture over it: plain functions of what to show and where, knowing no element. */
import type { Kind } from '../src/analysis/massive.js';
import type { Token, TokensEvent } from '../src/engine/contract/events.js';
import { canvasFont } from './cells.js';
import { type Theme, toneAt } from './theme.js';

/** A token that stands for a part of the picture. */
export interface Patch {
  readonly token: number;
  /** In the picture's pixels. */
  readonly region: NonNullable<Token['region']>;
}

/** In the order of the tokens: row by row. */
export function patchesOf(event: TokensEvent | undefined): Patch[] {
  return (event?.tokens ?? []).flatMap(({ region }, token) => (region ? [{ token, region }] : []));
}

/** The patch at a point of the picture, in its pixels. */
export function patchAt(patches: readonly Patch[], x: number, y: number): Patch | undefined {
  return patches.find(
    ({ region }) => x >= region.x && y >= region.y && x < region.x + region.width && y < region.y + region.height,
  );
}

export interface Shown {
  /** Place on the ramp, 0 … 1; NaN: not tinted. */
  shade(token: number): number;
  kind(token: number): Kind | undefined;
  isSink(token: number): boolean;
  readonly selected: number | undefined;
  readonly pointed: number | undefined;
}

/** Tints and marks `patches`; `scale` is CSS pixels to one of the picture's. Marks lie above all tints. */
export function paintPatches(
  context: CanvasRenderingContext2D,
  patches: readonly Patch[],
  scale: number,
  theme: Theme,
  shown: Shown,
): void {
  const boxOf = ({ region }: Patch) =>
    [region.x * scale, region.y * scale, region.width * scale, region.height * scale] as const;
  for (const patch of patches) {
    const shade = shown.shade(patch.token);
    if (Number.isNaN(shade)) continue;
    // What is ordinary lets the picture through.
    context.globalAlpha = 0.15 + 0.6 * Math.max(0, Math.min(1, shade));
    context.fillStyle = toneAt(theme.ramps.magnitude, shade).color;
    context.fillRect(...boxOf(patch));
  }
  context.globalAlpha = 1;
  for (const patch of patches) paintMarks(context, patch.token, boxOf(patch), theme, shown);
  for (const patch of patches) {
    if (patch.token === shown.pointed)
      outline(context, boxOf(patch), { color: theme.background, width: 4 }, { color: theme.foreground, width: 2 });
    if (patch.token === shown.selected)
      outline(context, boxOf(patch), { color: theme.background, width: 7 }, { color: theme.focus, width: 4 });
  }
}

type Box = readonly [x: number, y: number, width: number, height: number];

/** Frames and signs, as in every other view; a seam of the background keeps them apart from any picture. */
function paintMarks(context: CanvasRenderingContext2D, token: number, box: Box, theme: Theme, shown: Shown): void {
  const kind = shown.kind(token);
  const sink = shown.isSink(token);
  if (kind === undefined && !sink) return;
  const color = kind === undefined ? theme.sink : theme[kind];
  context.setLineDash(kind === 'large' ? [4, 3] : []);
  outline(context, box, { color: theme.background, width: 3 }, { color, width: 1.5 });
  context.setLineDash([]);
  const signs = [
    ...(kind ? [{ text: kind === 'massive' ? '▲' : '△', color: theme[kind] }] : []),
    ...(sink ? [{ text: '⚓\uFE0E', color: theme.sink }] : []),
  ];
  const [x, y, width, height] = box;
  const size = Math.max(8, Math.min(20, height * 0.7, (width * 0.9) / signs.length));
  context.font = canvasFont(theme, size);
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  for (const [i, sign] of signs.entries()) {
    const at = x + width / 2 + (i - (signs.length - 1) / 2) * size;
    context.lineWidth = 3;
    context.strokeStyle = theme.background;
    context.strokeText(sign.text, at, y + height / 2);
    context.fillStyle = sign.color;
    context.fillText(sign.text, at, y + height / 2);
  }
}

interface Stroke {
  readonly color: string;
  readonly width: number;
}

/** A line within a seam, both inside the box. */
function outline(context: CanvasRenderingContext2D, [x, y, width, height]: Box, seam: Stroke, line: Stroke): void {
  const inset = seam.width / 2;
  for (const stroke of [seam, line]) {
    context.strokeStyle = stroke.color;
    context.lineWidth = stroke.width;
    context.strokeRect(x + inset, y + inset, Math.max(1, width - 2 * inset), Math.max(1, height - 2 * inset));
  }
}
