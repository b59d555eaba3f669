/** `npm run deploy`: checks the settings, then hands over to `wrangler deploy` with whatever else was said. */
import { spawnSync } from 'node:child_process';
import { checkSettings } from './settings-file.ts';

checkSettings();
const { status } = spawnSync('wrangler', ['deploy', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(status ?? 1);
