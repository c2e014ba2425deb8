/** The desktop VS Code, downloaded by `@vscode/test-electron` into its cache folder. */
import { downloadAndUnzipVSCode, SilentReporter } from '@vscode/test-electron';

const hasDisplay = process.platform !== 'linux' || Boolean(process.env.DISPLAY) || Boolean(process.env.WAYLAND_DISPLAY);

/**
 * Its program, or nothing where there is no display or it cannot be downloaded.
 * @returns {Promise<string | undefined>}
 */
export async function desktopVSCode() {
  if (!hasDisplay) return undefined;
  try {
    console.log('Looking for the desktop VS Code (downloaded once, about 150 MB) …');
    return await downloadAndUnzipVSCode({ reporter: new SilentReporter() });
  } catch (error) {
    console.log(`VS Code could not be downloaded (${error.message}): using its server build instead.`);
    return undefined;
  }
}
