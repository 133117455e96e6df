// node screenshot.mjs FILE [URL]: the page of a service, as README shows it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { launch, open } from './browser.mjs';

const [file, url] = process.argv.slice(2);
const program = new URL('../../target/debug/examples/sample-page', import.meta.url).pathname;
const child = url ? undefined : spawn(program, ['127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
const base = url || (await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()).value;
const browser = await launch();
const { page } = await open(browser, base, { viewport: { width: 1120, height: 1240 }, colorScheme: 'light' });
await page.goto(url ? base : `${base}/services/models/iris`);
await page.waitForSelector('.live.on');
// Its releases are seen as well.
await page.$$eval('details.charts', (all) => all.forEach((one) => { one.open = false; }));
await page.screenshot({ path: file });
await browser.close();
child?.kill();
