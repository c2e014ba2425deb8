import type { RunEvent } from '../engine/events.js';

/**
 * The same event, with arrays that own their bytes. What comes from another process or a file is a view over one large
 * buffer, and VS Code would send all of that buffer to the webview with each view (microsoft/vscode#178719).
 */
export function compact(event: RunEvent): RunEvent {
  switch (event.type) {
    case 'layer': {
      const { tokenNorm, tokenMax, tokenMaxDim, dimMax } = event.statistics;
      return {
        ...event,
        statistics: {
          ...event.statistics,
          tokenNorm: tokenNorm.slice(),
          tokenMax: tokenMax.slice(),
          tokenMaxDim: tokenMaxDim.slice(),
          dimMax: dimMax.slice(),
        },
      };
    }
    case 'attention': {
      const { alpha, extra } = event.statistics;
      return {
        ...event,
        statistics: {
          ...event.statistics,
          alpha: alpha.slice(),
          extra: extra && { ...extra, alpha: extra.alpha.slice() },
        },
      };
    }
    default:
      return event;
  }
}
