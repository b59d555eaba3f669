/** Reads wrangler.toml's variables before anything is started or deployed, so that a mistake is told at once and clearly. */
import { unstable_readConfig } from 'wrangler';
import { parseSettings, SettingsError } from '../router/settings.ts';

/** Ends the process with status 1 and one line if the settings are refused. */
export function checkSettings(): void {
  const { vars } = unstable_readConfig({ config: 'wrangler.toml' });
  try {
    parseSettings(vars as unknown as Parameters<typeof parseSettings>[0]);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(`wrangler.toml: ${error.message}`);
    process.exit(1);
  }
}
