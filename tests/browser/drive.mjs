// node drive.mjs: every page of a made-up site.
// node drive.mjs --url http://localhost:8080: the pages that a real one links to, as far as they can be without changes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { launch, open } from './browser.mjs';

const WIDTHS = [320, 768, 1280];
const SCHEMES = ['light', 'dark'];
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
const HOSTILE = '<script>alert(1)</script>';
const SERVICE = '/services/models/iris';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The made-up site: its address, and that at which it is changed. */
const sample = async () => {
  const program = new URL('../../target/debug/examples/sample-page', import.meta.url).pathname;
  const child = spawn(program, ['127.0.0.1:0', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const [base, control] = [(await lines.next()).value, (await lines.next()).value];
  return { base, change: (word) => fetch(`${control}/${word}`, { method: 'POST' }), end: () => child.kill() };
};

const zoo = encodeURIComponent(HOSTILE);
const SAMPLE = [
  '/', '/?q=nothing', '/models', '/models?q=team%3Dflowers', '/models/iris/v3', '/models/spam/v1', `/models/${zoo}/v1`, SERVICE,
  '/services/risk/fraud', '/services/risk/churn', `/services/zoo/${zoo}`, `${SERVICE}/releases/release-iris-v3`,
  `${SERVICE}/releases/release-iris-v2-rc1`, `/services/zoo/${zoo}/releases/${zoo}`, '/nothing',
];

/** What a real page links to, a few of each kind. */
const linked = async (browser, base) => {
  const { page, context } = await open(browser, base);
  const found = new Set(['/', '/models', '/nothing']);
  for (const start of ['/', '/models']) {
    await page.goto(base + start);
    for (const href of await page.$$eval('main a[href]', (links) => links.map((link) => link.href))) {
      if (href.startsWith(base) && found.size < 20) found.add(href.slice(base.length));
    }
  }
  await context.close();
  return [...found];
};

const tests = {};

/** Width, colours, and what axe has to say about them. */
tests['every page fits, is readable and breaks no rule'] = async ({ browser, base, paths }) => {
  for (const colorScheme of SCHEMES) {
    for (const width of WIDTHS) {
      const { page, context, faults } = await open(browser, base, { colorScheme, viewport: { width, height: 900 } });
      for (const path of paths) {
        const where = `${path} at ${width} px, ${colorScheme}`;
        await page.goto(base + path);
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(beyond <= 0, `${where}: ${beyond} px are beyond the edge`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate((values) => axe.run({ exclude: ['iframe'] }, { runOnly: { type: 'tag', values }, iframes: false }), RULES);
        const said = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join(' | ')}`);
        assert.deepEqual(said, [], where);
      }
      assert.deepEqual(faults, [], `${width} px, ${colorScheme}`);
      await context.close();
    }
  }
};

tests['the keyboard reaches everything, in order, and sees where it is'] = async ({ browser, base, paths }) => {
  const { page, context } = await open(browser, base);
  for (const path of paths.slice(0, 8)) {
    await page.goto(base + path);
    const wanted = await page.evaluate(() => {
      const all = [...document.querySelectorAll('a[href], button, input, summary, iframe')];
      const seen = all.filter((one) => one.checkVisibility() && one.type !== 'hidden');
      seen.forEach((one, place) => { one.dataset.place = place; });
      return seen.length;
    });
    const reached = [];
    for (let press = 0; press <= wanted + 4; press += 1) {
      await page.keyboard.press('Tab');
      const [place, outline] = await page.evaluate(() => {
        const one = document.activeElement;
        const style = getComputedStyle(one);
        return [one.dataset?.place, style.outlineStyle !== 'none' || one.nodeName === 'IFRAME'];
      });
      if (place === undefined) continue;
      assert.ok(outline, `${path}: nothing shows that ${place} has the focus`);
      reached.push(Number(place));
      if (reached.length === wanted) break;
    }
    assert.deepEqual(reached, [...Array(wanted).keys()], path);
  }
  await page.goto(base + paths[0]);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main', 'the first link skips to the content');
  await context.close();
};

tests['without script every page is whole'] = async ({ browser, base, paths }) => {
  for (const path of paths) {
    const both = [];
    for (const javaScriptEnabled of [true, false]) {
      const { page, context } = await open(browser, base, { javaScriptEnabled });
      await page.goto(base + path);
      const words = await page.locator('main').innerText();
      // What only a script can do, and how long ago things were.
      both.push(words.replace(/\bCopy\b/g, '').replace(/just now|(in )?\d+ (s|min|h|d)( ago)?/g, '').replace(/\s+/g, ' ').trim());
      assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 0);
      await context.close();
    }
    assert.equal(both[1], both[0], path);
  }
  const { page, context } = await open(browser, base, { javaScriptEnabled: false });
  await page.goto(`${base}/models`);
  await page.fill('#q', 'a');
  await page.click('.search button');
  assert.match(page.url(), /\/models\?q=a$/);
  await context.close();
};

tests['nothing is asked of another host, and no policy is broken'] = async ({ browser, base, paths }) => {
  const { page, context, faults } = await open(browser, base);
  for (const path of paths) {
    await page.goto(base + path);
    for (const summary of await page.locator('main summary').all()) {
      if (await summary.isVisible()) await summary.click();
    }
    await page.waitForTimeout(100);
  }
  assert.deepEqual(faults, []);
  await context.close();
};

tests['the bar moves without a reload'] = async ({ browser, base, change }) => {
  if (!change) return 'needs the made-up site';
  await change('back');
  const { page, context, faults } = await open(browser, base);
  await page.goto(base + SERVICE);
  await page.waitForSelector('.live.on');
  const width = () => page.$eval('.large .bar .canary', (part) => part.getAttribute('width'));
  assert.equal(await width(), '25%');
  await page.evaluate(() => { window.same = true; });
  await page.click('details.decide summary');
  await page.focus('details.decide button');
  await change('climb');
  await page.waitForFunction(() => document.querySelector('.large .bar .canary').getAttribute('width') === '50%');
  assert.equal(await page.evaluate(() => window.same), true, 'it is the same page');
  assert.equal(await page.$eval('details.decide', (part) => part.open), true, 'what was opened stays open');
  assert.equal(await page.evaluate(() => document.activeElement.nodeName), 'BUTTON', 'the focus stays');
  assert.match(await page.textContent('#news'), /v3 50 %/, 'it is read out');
  await change('away');
  await page.waitForSelector('.notice.away');
  await change('back');
  await page.waitForFunction(() => !document.querySelector('.notice.away'));
  assert.deepEqual(faults, []);
  await context.close();
};

tests['a bento named as a script is text'] = async ({ browser, base, change }) => {
  if (!change) return 'needs the made-up site';
  const { page, context, faults } = await open(browser, base);
  for (const path of ['/', '/models', `/services/zoo/${zoo}`, `/models/${zoo}/v1`]) {
    await page.goto(base + path);
    assert.ok((await page.textContent('main')).includes(HOSTILE), path);
    assert.equal(await page.locator('main script, main img, main [onerror]').count(), 0, path);
  }
  assert.deepEqual(faults, []);
  await context.close();
};

tests['a kept report is in a frame in which nothing acts'] = async ({ browser, base, change }) => {
  if (!change) return 'needs the made-up site';
  const { page, context, faults } = await open(browser, base);
  await page.goto(`${base}${SERVICE}/releases/release-iris-v2-rc1`);
  await page.locator('iframe').first().scrollIntoViewIfNeeded();
  const frame = page.frameLocator('iframe').first();
  await frame.locator('.badge').waitFor();
  assert.match(await frame.locator('.badge').innerText(), /fail/i);
  assert.deepEqual(faults, []);
  await context.close();
};

tests['a command is copied by its button'] = async ({ browser, base, change }) => {
  if (!change) return 'needs the made-up site';
  const { page, context } = await open(browser, base, { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.goto(`${base}/models/iris/v3`);
  await page.click('button[data-copy]');
  await page.getByText('Copied').first().waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, 'bento-retrieve --store=s3://bentos --s3-endpoint=http://s3.local:9000 --bento=iris:v3 --into=iris');
  await context.close();
};

const at = process.argv.indexOf('--url');
const given = at > 0 && process.argv[at + 1].replace(/\/$/, '');
const site = given ? { base: given, end: () => {} } : await sample();
const browser = await launch();
let failed = 0;
try {
  const paths = given ? await linked(browser, given) : SAMPLE;
  for (const [name, test] of Object.entries(tests)) {
    try {
      const skipped = await test({ browser, paths, ...site });
      console.log(skipped ? `skipped  ${name}: ${skipped}` : `ok       ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED   ${name}\n${error.message}`);
    }
  }
} finally {
  await browser.close();
  site.end();
}
process.exitCode = failed ? 1 : 0;
