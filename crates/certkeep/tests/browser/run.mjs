// The web page in a real Chromium, on the demo's sandbox: from the first start to an issued certificate, and what may not
// happen on any page. Usage: node run.mjs CERTKEEP FOLDER-FOR-SCREENSHOTS
// playwright-core drives Debian's Chromium: it downloads nothing, and follows console, network and policy violations.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [, , program, shots] = process.argv;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const room = mkdtempSync(join(tmpdir(), "certkeep-browser-"));
mkdirSync(shots, { recursive: true });
let passed = 0;
const failures = [];

/** One sentence that holds or does not. */
function check(holds, sentence) {
  if (holds) passed += 1;
  else {
    failures.push(sentence);
    console.error(`FAILED: ${sentence}`);
  }
}

/** Starts the demo; answers where its page is and how its DNS is changed. */
async function demo() {
  const child = spawn(program, ["demo"], { env: { ...process.env, TMPDIR: room }, stdio: ["ignore", "pipe", "inherit"] });
  let setup, host, key;
  for await (const line of createInterface({ input: child.stdout })) {
    setup ??= line.match(/https:\S+\/setup#\S+/)?.[0];
    host ??= line.match(/"k":"Host","sv":"([^"]+)"/)?.[1];
    key ??= line.match(/"k":"APIKey","sv":"([^"*]+)"/)?.[1];
    if (setup && host && key) {
      child.stdout.resume();
      return { child, setup, host, key };
    }
  }
  throw new Error("the demo ended before its invitation");
}

const { child, setup, host, key } = await demo();
const base = new URL(setup).origin;
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, locale: "en-GB" });
const page = await context.newPage();

// What may not happen anywhere.
page.on("console", (message) => {
  // A refusal has a status of its own, which Chromium calls an error.
  const isStatus = /status of 4\d\d/.test(message.text());
  if (["error", "warning"].includes(message.type()) && !isStatus) check(false, `${page.url()} says ${message.text()}`);
});
page.on("pageerror", (error) => check(false, `${page.url()} throws ${error}`));
page.on("request", (request) => {
  if (new URL(request.url()).origin !== base) check(false, `${page.url()} asks ${request.url()}`);
});
await context.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", (event) => console.error(`violates ${event.violatedDirective}: ${event.blockedURI}`));
});

/** Looks at a page: nothing serious for axe, no sideways scrolling, a picture for people. */
async function look(name) {
  // Asked of the page from outside: its policy allows no script of ours within.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
    check(false, `${name}: axe finds ${one.id}: ${one.nodes.map((node) => node.target).join(" | ")}`);
  }
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(sideways <= 0, `${name} is ${sideways} px wider than the screen`);
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  passed += 1;
}

const heading = () => page.locator("h1").first().innerText();

async function firstStart() {
  await page.goto(setup);
  check((await page.locator("#token").inputValue()) === setup.split("#")[1], "the setup code is read from the fragment");
  check(!page.url().includes("#"), "the setup code does not stay in the address");
  await look("setup");
  await page.fill("#name", "anna");
  await page.fill("#password", "a sentence that is long");
  await page.click("form button.main");
  check((await heading()) === "Today", "the first user is signed in");
  await look("today");
  await page.click("text=Sign out");
  await look("login");
  await page.fill("#name", "anna");
  await page.fill("#password", "wrong");
  await page.click("form button.main");
  check(await page.locator(".notice.bad").isVisible(), "a wrong password is refused");
  await page.fill("#password", "a sentence that is long");
  await page.click("form button.main");
  check((await heading()) === "Today", "the right one is not");
}

/** The wizard up to its parameters. */
async function parameters(name, apiKey) {
  await page.goto(`${base}/ui/new`);
  await page.fill("#names", name);
  await page.fill("#q", "powerdns");
  const tile = page.locator("#providers button", { hasText: /powerdns/i }).first();
  await page.waitForFunction(() => document.querySelectorAll("#providers button").length < 10);
  if (apiKey === key) await look("new-names");
  await tile.click();
  await page.fill('[name="p.Host"]', host);
  await page.fill('[name="p.APIKey"]', apiKey);
  if (apiKey === key) await look("new-parameters");
}

async function wizard() {
  await parameters("office.example.com, pbx.example.com", key);
  await page.click("text=Check first");
  await page.waitForSelector("#check .notice.ok", { timeout: 60_000 });
  await look("new-check");
  await page.click('#check button:has-text("Apply now")');
  await page.waitForSelector('h1 .badge:has-text("Valid")', { timeout: 60_000 });
  check((await heading()).startsWith("office.example.com"), "the wizard ends with an issued certificate");
  await page.locator("details.run[open]").first().waitFor();
  await look("certificate");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Download key and chain")]);
  const pem = readFileSync(await download.path(), "utf8");
  check(pem.includes("PRIVATE KEY") && pem.includes("BEGIN CERTIFICATE"), "key and chain are downloaded");
  writeFileSync(join(room, "pair.pem"), pem);
}

async function wrongKey() {
  await parameters("lobby.example.com", "wrong-key");
  await page.click("text=Check first");
  await page.waitForSelector("#check .notice.warn", { timeout: 60_000 });
  check((await page.locator("#check .failure").first().innerText()).includes("101"), "the check tells of the wrong key");
  await look("new-check-wrong");
  await page.click("text=Apply all the same");
  await page.waitForSelector(".failure", { timeout: 60_000 });
  const card = await page.locator(".failure").first().innerText();
  check(card.includes("does not accept the credentials") && card.includes("It is your turn"), `the card tells what to do: ${card}`);
  await look("failure-card");
  await page.click("text=Change the access");
  await look("access");
  await page.goto(base);
  check((await page.locator(".sentences").innerText()).includes("lobby.example.com"), "Today tells of it");
  await look("today-failed");
}

async function upload() {
  const pair = readFileSync(join(room, "pair.pem"), "utf8");
  const keyless = pair.slice(pair.indexOf("-----BEGIN CERTIFICATE"));
  writeFileSync(join(room, "keyless.pem"), keyless);
  await page.goto(`${base}/ui/upload`);
  await page.setInputFiles("#file", join(room, "keyless.pem"));
  await page.waitForSelector("#diagnosis .card.bad");
  check((await page.locator("#diagnosis").innerText()).includes("holds no private key"), "a missing key is told at once");
  await look("upload-refused");
  await page.setInputFiles("#file", join(room, "pair.pem"));
  await page.waitForSelector("#diagnosis .card.ok");
  check((await page.locator("#diagnosis").innerText()).includes("The private key belongs to"), "a fitting key is told at once");
  await look("upload-good");
  await page.click("text=Keep it");
  await page.waitForSelector('h1 .badge:has-text("Valid")');
  await page.click("text=Delete");
  await look("delete");
  await page.click("text=Delete it");
  check((await page.locator(".notice.ok").innerText()) === "It is deleted.", "what was kept is deleted");
}

async function keyboard() {
  await page.goto(base);
  await page.keyboard.press("Tab");
  check((await page.evaluate(() => document.activeElement.className)) === "skip", "the first stop skips to the content");
  await page.keyboard.press("Enter");
  check((await page.evaluate(() => document.activeElement.id)) === "main", "and leads there");
  await page.goto(base);
  const reached = new Set();
  for (let stop = 0; stop < 60; stop += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      return { name: one.getAttribute("href") ?? one.textContent.trim(), seen: style.outlineStyle !== "none" || one === document.body };
    });
    check(at.seen, `the focus is seen at ${at.name}`);
    reached.add(at.name);
  }
  for (const href of ["/ui/new", "/ui/certificates", "/ui/settings", "Sign out"]) check(reached.has(href), `${href} is reached by the keyboard`);
  await page.goto(`${base}/ui/new`);
  // The browser gives it the focus when it has drawn the page.
  await page.waitForFunction(() => document.activeElement?.id === "names");
  await page.keyboard.type("door.example.com");
  check((await page.locator("#names").inputValue()) === "door.example.com", "the first field has the focus");
}

const places = ["certificates", "trusted", "providers", "providers/pdns", "cas", "clients", "users", "audit", "settings", "upload", "nothing-here"];

async function everyPage(prefix) {
  for (const place of places) {
    await page.goto(`${base}/ui/${place}`);
    await look(`${prefix}${place.replace("/", "-")}`);
  }
}

async function search() {
  await page.goto(`${base}/ui/certificates`);
  await page.fill("#q", "office");
  await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 1);
  check((await page.locator("#list tbody").innerText()).includes("office.example.com"), "the search finds while one types");
}

async function otherwise() {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto(base);
  check(!(await page.locator("nav a").first().isVisible()), "the menu is closed on a phone");
  await look("phone-today");
  await everyPage("phone-");
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(base);
  await look("dark-today");
  await everyPage("dark-");
  await page.emulateMedia({ colorScheme: "light" });
}

async function languages() {
  const cookies = await context.cookies();
  for (const [locale, words] of [["de-DE", "Heute"], ["zh-CN", "今天"]]) {
    const foreign = await browser.newContext({ ignoreHTTPSErrors: true, locale, viewport: { width: 1280, height: 900 } });
    await foreign.addCookies(cookies);
    const shown = await foreign.newPage();
    await shown.goto(base);
    check((await shown.locator("h1").first().innerText()) === words, `${locale} is spoken`);
    await shown.screenshot({ path: join(shots, `today-${locale}.png`), fullPage: true });
    await foreign.close();
  }
}

async function withoutScript() {
  const cookies = await context.cookies();
  const plain = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false, locale: "en-GB" });
  await plain.addCookies(cookies);
  const still = await plain.newPage();
  for (const place of ["/", "/ui/certificates", "/ui/certificates/1", "/ui/new?names=a.example.com", "/ui/new/pdns?names=a.example.com"]) {
    await still.goto(base + place);
    check((await still.locator("main").innerText()).length > 40, `${place} is read without script`);
  }
  await still.fill('[name="p.Host"]', host);
  await still.fill('[name="p.APIKey"]', key);
  await still.click("text=Check first");
  await still.waitForSelector("#check .notice.ok", { timeout: 60_000 });
  check(true, "a check is followed without script");
  await plain.close();
}

try {
  for (const part of [firstStart, wizard, wrongKey, upload, search, keyboard, everyPage, otherwise, languages, withoutScript]) {
    console.log(`-- ${part.name}`);
    await part(part === everyPage ? "" : undefined);
  }
  const cookie = (await context.cookies()).find((one) => one.name === "__Host-certkeep");
  check(cookie?.httpOnly && cookie.secure && cookie.sameSite === "Strict", "the cookie is kept from scripts, plain HTTP and other sites");
} catch (error) {
  check(false, `${page.url()}: ${error.stack}`);
  await page.screenshot({ path: join(shots, "broken.png"), fullPage: true }).catch(() => {});
} finally {
  await browser.close();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
  rmSync(room, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);
