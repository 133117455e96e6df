// node release.mjs --url http://…/services/NAMESPACE/NAME --version v2: watches a release of a real service on its
// page, from before its canary to its end, without a reload; pictures go to target/browser/.
// With --kept: the release is over and its runs are gone; what the store has of it is shown.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { launch, open } from './browser.mjs';

const { url, version, kept } = parseArgs({
  options: { url: { type: 'string' }, version: { type: 'string' }, kept: { type: 'boolean' } },
}).values;
const LONG = { timeout: 10 * 60_000 };
const PICTURES = new URL('../../target/browser/', import.meta.url).pathname;
await mkdir(PICTURES, { recursive: true });

const browser = await launch();
const { page, faults } = await open(browser, url);
const picture = (name) => page.screenshot({ path: `${PICTURES}${name}.png`, fullPage: true });
const sees = (what) => console.log(`sees ${what}`);
const until = async (what, holds, argument) => {
  await page.waitForFunction(holds, argument, LONG).catch((error) => {
    throw new Error(`never saw ${what}: ${error.message.split('\n')[0]}`);
  });
  sees(what);
};
/** The parts of the requests as the bar's legend has them: `v1 90 %`. */
const share = ([wanted, percent]) => [...document.querySelectorAll('.large .parts li')].some((part) => {
  const words = part.innerText.replace(/\s+/g, ' ');
  return words.startsWith(`${wanted} `) && words.includes(` ${percent} %`);
});
const outcome = ([wanted, word]) => [...document.querySelectorAll('main article, main section, main li')].some(
  (part) => part.querySelector('a')?.innerText.trim() === wanted && part.querySelector('.badge')?.innerText.includes(word),
);

/** The page of the release, and in it the reports of its gates. */
const reports = async () => {
  await page.locator('main a[href*="/releases/"]', { hasText: new RegExp(`^${version}$`) }).first().click();
  await page.waitForSelector('h1');
  await page.$$eval('details.report', (all) => all.forEach((one) => { one.open = true; }));
  const frames = await page.locator('details.report iframe').count();
  assert.ok(frames > 0, 'there is a report of each gate');
  for (let frame = 0; frame < frames; frame += 1) {
    const badge = page.frameLocator('details.report iframe').nth(frame).locator('.badge');
    await badge.waitFor();
    assert.match(await badge.innerText(), /pass/i);
  }
  sees(`${frames} reports`);
  await picture(kept ? 'release-kept' : 'release');
};

try {
  await page.goto(url);
  if (kept) {
    await until(`${version} promoted, whose runs are gone`, outcome, [version, 'promoted']);
    await reports();
  } else {
    await page.waitForSelector('.live.on');
    await until('v1 at 100 %', share, ['v1', 100]);
    await page.evaluate(() => { window.isTheSame = true; });
    await until(`${version} at 10 %`, share, [version, 10]);
    await picture('canary');
    await until('evidence', () => document.querySelector('.cards svg'));
    await picture('gate');
    await until(`${version} at 50 %`, share, [version, 50]);
    await until(`${version} at 100 %`, share, [version, 100]);
    await until(`${version} promoted`, outcome, [version, 'promoted']);
    assert.ok(await page.evaluate(() => window.isTheSame), 'it never loaded again');
    await picture('promoted');
    await reports();
  }
  assert.deepEqual(faults, []);
} finally {
  await browser.close();
}
