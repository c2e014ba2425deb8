/** When something is drawn. Paper is laid out between two frames, so that what is to be on it is drawn at once. */
let isPrinting = false;
addEventListener('beforeprint', () => {
  isPrinting = true;
});
addEventListener('afterprint', () => {
  isPrinting = false;
});

/** Calls `draw` before the page is seen again; what it returns cancels that, as of `requestAnimationFrame`. */
export function beforeNextFrame(draw: () => void): number {
  if (!isPrinting) return requestAnimationFrame(draw);
  queueMicrotask(draw);
  return 0;
}
