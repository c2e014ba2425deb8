import * as vscode from 'vscode';
import type { Origin } from '../models/find.js';

/** As people of the editor's language write it. */
export function numberInWords(count: number): string {
  return count.toLocaleString(vscode.env.language);
}

/** E.g. `23.4 MB`, by powers of 1,000 as file managers show them. */
export function bytesInWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  const digits = { maximumFractionDigits: power === 0 ? 0 : 1 };
  return `${(bytes / 1000 ** power).toLocaleString(vscode.env.language, digits)} ${units[power]}`;
}

/** Where a model was found. */
export function originInWords(origin: Origin): string {
  return {
    bundled: vscode.l10n.t('Bundled'),
    workspace: vscode.l10n.t('Workspace'),
    settings: vscode.l10n.t('Settings'),
    machine: vscode.l10n.t('On this machine'),
  }[origin];
}
