// Checks an evidence archive in the browser, as the script verify_tokenledger.py does: nothing leaves this computer.
"use strict";

const FAULTS_SHOWN = 100;
const ROWS_AT_ONCE = 400; // between two looks at the clock
const BYTES_MAX = 200e6;
const PICO = 10n ** 12n;
const TOKENS = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "reasoning_tokens"];
const COSTS = ["input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost", "saved_cost"];
const CALLS = ["usage", "rating", "correction"];

const shorten = (value) => {
  const text = typeof value === "string" ? value : String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
};

class Findings {
  constructor() {
    this.texts = [];
    this.count = 0;
  }

  add(place, what) {
    this.count += 1;
    if (this.texts.length < FAULTS_SHOWN) this.texts.push({ place, what });
  }

  expect(place, what, expected, found) {
    if (expected === found) return;
    this.add(place, `${what} expected ${shorten(expected)}, found ${shorten(found)}`);
  }

  // The same for amounts in 10^-12 units, told as one reads money.
  expectMoney(place, what, expected, found) {
    if (expected === found) return;
    this.add(place, `${what} expected ${writeMoney(expected)}, found ${writeMoney(found)}`);
  }
}

// 10^-12 units as a decimal number.
const writeMoney = (pico) => {
  if (pico === null) return "none";
  const digits = String(pico < 0n ? -pico : pico).padStart(13, "0");
  const cut = `${digits.slice(0, -12)}.${digits.slice(-12)}`.replace(/\.?0+$/, "");
  return `${pico < 0n ? "−" : ""}${cut}`;
};

// --- prices: exact, as fractions of whole numbers ---

const readFraction = (text) => {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(text));
  if (!match) throw new Error(`${text} is no number`);
  const decimals = match[3] ?? "";
  return { top: BigInt(`${match[1]}${match[2]}${decimals}`), bottom: 10n ** BigInt(decimals.length) };
};

// Half-even, as the ledger rounds each amount at its twelfth decimal.
const round = (top, bottom) => {
  let whole = top / bottom;
  let rest = top % bottom;
  if (rest < 0n) {
    rest += bottom;
    whole -= 1n;
  }
  const twice = rest * 2n;
  return twice > bottom || (twice === bottom && whole % 2n !== 0n) ? whole + 1n : whole;
};

const COST_OF_USAGE = {
  input_tokens: "input_cost", cache_read_tokens: "cache_read_cost", cache_write_tokens: "cache_write_cost",
  cache_write_1h_tokens: "cache_write_cost", output_tokens: "output_cost", reasoning_tokens: "output_cost",
};
const METER_OF_USAGE = {
  input_tokens: "input", cache_read_tokens: "cache_read", cache_write_tokens: "cache_write", cache_write_1h_tokens: "cache_write_1h",
  output_tokens: "output", reasoning_tokens: "reasoning", audio_input_tokens: "audio_input", image_input_tokens: "image_input",
  video_input_tokens: "video_input", audio_cache_read_tokens: "audio_cache_read", image_cache_read_tokens: "image_cache_read",
  video_cache_read_tokens: "video_cache_read", audio_output_tokens: "audio_output", image_output_tokens: "image_output",
  video_output_tokens: "video_output", images: "image", searches: "search", web_searches: "web_search",
  social_searches: "social_search", storage_searches: "storage_search", rerank_searches: "rerank_search",
  code_executions: "code_execution", characters: "character", input_characters: "input_character", messages: "message",
  pages: "page", annotated_pages: "annotated_page", pixels: "pixel", seconds: "second", audio_seconds: "audio_second",
  audio_input_seconds: "audio_input_second", audio_output_seconds: "audio_output_second", video_seconds: "video_second",
  gpu_seconds: "gpu_second", storage_gb_hours: "gb_hour", gb_hours: "gb_hour", requests: "request",
};
const METER_WITHOUT_CACHE = {
  cache_read_tokens: "input", cache_write_tokens: "input", cache_write_1h_tokens: "input",
  audio_cache_read_tokens: "audio_input", image_cache_read_tokens: "image_input", video_cache_read_tokens: "video_input",
};
const MODALITIES = ["audio_input_tokens", "image_input_tokens", "video_input_tokens", "audio_cache_read_tokens", "image_cache_read_tokens", "video_cache_read_tokens"];

const STANDARD_TIERS = ["", "standard", "default", "on_demand", "on-demand", "standard_only"];

class PriceList {
  constructor(content) {
    this.content = content;
    this.tiers = content.context_tiers ?? [];
    this.isReport = content.price_from === "reported_cost";
    this.inParts = this.tiers.some((tier) => tier.scope === "marginal");
    this.meters = [content.meters ?? {}];
    for (const tier of this.tiers) this.meters.push({ ...this.meters.at(-1), ...tier.meters });
    this.prices = new Map();
  }

  reachTier(prompt) {
    let reached = 0;
    this.tiers.forEach((tier, place) => {
      const from = BigInt(tier.input_tokens);
      if (prompt > from || (tier.compare === ">=" && prompt === from)) reached = place + 1;
    });
    return reached;
  }

  // Why this list cannot price such a call; '' where it can. Its name and its dates are not looked at.
  explainRefusal(row, tenant) {
    const { content } = this;
    const tier = row.service_tier.trim().toLowerCase();
    const listTier = content.service_tier ?? "standard";
    if ((STANDARD_TIERS.includes(tier) ? "standard" : tier) !== listTier) return `the price list is for the service tier ${listTier}, the call had ${tier}`;
    if (![undefined, "", row.region.trim().toLowerCase()].includes(content.region)) return `the price list is for the region ${content.region}, the call was in ${row.region}`;
    if ((content.tenant ?? tenant) !== tenant) return `the price list was agreed with ${content.tenant}`;
    if (content.time_window) {
      const [start, end] = content.time_window.split("-");
      const time = row.charge_period_start.slice(11, 16);
      const isWithin = start < end ? start <= time && time < end : time >= start || time < end;
      if (!isWithin) return `the price list is for ${content.time_window} UTC`;
    }
    return "";
  }

  // Every [price, list price, per] that the list has for a meter, or for a day.
  listPrices(meter) {
    if (meter === "days") return [[this.content.daily_fee ?? "0", this.content.daily_fee ?? "0", 1]];
    return this.meters.filter((meters) => meter in meters).map((meters) => [meters[meter].price, meters[meter].list_price ?? meters[meter].price, meters[meter].per]);
  }

  // Of one unit, in 10^-12 of the currency, as a fraction.
  findPrice(meter, name) {
    const text = meter[name] ?? meter.price;
    const key = `${text} ${meter.per}`;
    if (!this.prices.has(key)) {
      const price = readFraction(text);
      this.prices.set(key, { top: price.top * PICO, bottom: price.bottom * BigInt(meter.per) });
    }
    return this.prices.get(key);
  }
}

const multiply = (quantity, price) => ({ top: quantity.top * price.top, bottom: quantity.bottom * price.bottom });
const addUp = (one, other) => ({ top: one.top * other.bottom + other.top * one.bottom, bottom: one.bottom * other.bottom });
const reduce = ({ top, bottom }) => {
  let [one, other] = [top < 0n ? -top : top, bottom];
  while (other) [one, other] = [other, one % other];
  return { top: top / one, bottom: bottom / one };
};
const isEqual = (one, other) => one.top * other.bottom === other.top * one.bottom;
const ZERO = { top: 0n, bottom: 1n };
const ONE = { top: 1n, bottom: 1n };

// A call's costs and context tier as they should be, and what was charged by usage. Throws with why it cannot be priced so.
const priceCall = (call, rates) => {
  const none = Object.fromEntries(COSTS.map((name) => [name, 0n]));
  const hasFailedUnused = call.status === "error" && TOKENS.every((name) => call[name] === 0n) && !call.other.some(([, used]) => used.top);
  const rate = rates.get(call.rate_version_hash);
  if (!rate) {
    if (call.pricing_reason !== "failed_without_usage" || !hasFailedUnused) throw new Error("it has a price and names no price list that is in rates/");
    return { costs: none, tier: 0, charged: [] };
  }
  if (rate.isReport) {
    if (call.reported_cost === null && !call.cache_hit && !hasFailedUnused) throw new Error("the price is what the provider reports, and it reported none");
    const reported = call.cache_hit ? 0n : call.reported_cost ?? 0n;
    return { costs: { ...none, other_cost: reported, billed_cost: reported, list_cost: reported }, tier: 0, charged: [] };
  }
  const prompt = TOKENS.slice(0, 4).reduce((sum, name) => sum + call[name], 0n)
    + call.other.reduce((sum, [usage, used]) => (MODALITIES.includes(usage) ? sum + used.top / used.bottom : sum), 0n);
  let tier = rate.inParts ? 0 : rate.reachTier(prompt);
  const meters = rate.meters[tier];
  const costs = { ...none };
  let uncached = 0n;
  const charged = [];
  for (const [usage, used] of listCharged(call, meters, hasFailedUnused)) {
    const meter = meters[METER_OF_USAGE[usage] ?? usage];
    if (!meter) throw new Error(`the price list has no price for ${usage}, so the row should be unpriced`);
    const least = { top: BigInt(meter.minimum_per_call ?? 0), bottom: 1n };
    const quantity = used.top * least.bottom < least.top * used.bottom ? least : used;
    const parts = rate.inParts ? splitByTier(quantity, METER_OF_USAGE[usage] ?? usage, rate) : [[tier, quantity, meter]];
    tier = Math.max(tier, parts.at(-1)[0]);
    const paid = parts.reduce((sum, [, part, of]) => addUp(sum, multiply(part, rate.findPrice(of, "price"))), ZERO);
    const listed = parts.reduce((sum, [, part, of]) => addUp(sum, multiply(part, rate.findPrice(of, "list_price"))), ZERO);
    const cost = round(paid.top, paid.bottom);
    costs[COST_OF_USAGE[usage] ?? "other_cost"] += cost;
    costs.list_cost += round(listed.top, listed.bottom);
    const full = meters[METER_WITHOUT_CACHE[usage]];
    const without = full && multiply(quantity, rate.findPrice(full, "price"));
    uncached += without ? round(without.top, without.bottom) : cost;
    charged.push([usage, call.cache_hit ? used : quantity]);
  }
  costs.billed_cost = COSTS.slice(0, 5).reduce((sum, name) => sum + costs[name], 0n);
  costs.saved_cost = uncached - costs.billed_cost;
  return { costs: call.cache_hit ? { ...none, saved_cost: uncached } : costs, tier, charged };
};

const listCharged = (call, meters, hasFailedUnused) => {
  const reasoning = "reasoning" in meters ? call.reasoning_tokens : 0n;
  const used = TOKENS.slice(0, 4).map((name) => [name, { top: call[name], bottom: 1n }]);
  used.push(["output_tokens", { top: call.output_tokens - reasoning, bottom: 1n }], ["reasoning_tokens", { top: reasoning, bottom: 1n }], ...call.other);
  if ("request" in meters && !call.other.some(([usage]) => usage === "requests") && !hasFailedUnused) used.push(["requests", ONE]);
  return used.filter(([, quantity]) => quantity.top);
};

const splitByTier = (quantity, name, rate) => {
  const starts = [0n, ...rate.tiers.map((tier) => BigInt(tier.input_tokens))];
  const parts = [];
  starts.forEach((start, tier) => {
    if (quantity.top <= start * quantity.bottom) return;
    const end = starts[tier + 1];
    const isWhole = end !== undefined && quantity.top > end * quantity.bottom;
    const part = isWhole ? { top: end - start, bottom: 1n } : { top: quantity.top - start * quantity.bottom, bottom: quantity.bottom };
    parts.push([tier, part, rate.meters[tier][name]]);
  });
  return parts;
};

// --- fees: what a month's quantity makes of a price, and what is owed by the day ---

const subtract = (one, other) => addUp(one, { top: -other.top, bottom: other.bottom });
const isAbove = (one, other) => one.top * other.bottom > other.top * one.bottom;

// What a month's quantity costs by a meter's quantity tiers, less what its calls were booked at.
const findDue = (meter, quantity) => {
  if (quantity.top <= 0n) return 0n;
  const entered = meter.quantity_tiers.filter((tier) => isAbove(quantity, readFraction(tier.above)));
  const perUnit = multiply(readFraction(meter.price), { top: 1n, bottom: BigInt(meter.per) });
  const booked = multiply(quantity, perUnit);
  let cost = booked;
  if (entered.length && meter.quantity_tiers[0].scope === "volume") {
    cost = costUnits(quantity, entered.at(-1), meter);
  } else if (entered.length) {
    const starts = entered.map((tier) => readFraction(tier.above));
    cost = multiply(starts[0], perUnit);
    entered.forEach((tier, place) => { cost = addUp(cost, costUnits(subtract(starts[place + 1] ?? quantity, starts[place]), tier, meter)); });
  }
  return round(cost.top * PICO, cost.bottom) - round(booked.top * PICO, booked.bottom);
};

// Units at a tier's price, of packages each one that was begun, and what it costs to enter the tier.
const costUnits = (units, tier, meter) => {
  const [price, flat] = [readFraction(tier.price), readFraction(tier.flat ?? "0")];
  if (tier.size === undefined) return addUp(multiply(units, { top: price.top, bottom: price.bottom * BigInt(meter.per) }), flat);
  const size = units.bottom * BigInt(tier.size);
  const packages = (units.top + size - 1n) / size;
  return addUp({ top: packages * price.top, bottom: price.bottom }, flat);
};

// What is due for what a fee is for, after it. Throws where the fee does not say.
const findDueOf = (fee, rates) => {
  const { tags } = fee;
  if ("tokenledger.day" in tags) {
    return (tags["tokenledger.rates"] ?? fee.rate_version_hash).split(" ").reduce((sum, hash) => {
      const daily = readFraction(rates.get(hash).content.daily_fee);
      return sum + (daily.top * PICO) / daily.bottom;
    }, 0n);
  }
  return findDue(rates.get(fee.rate_version_hash).content.meters[tags["tokenledger.meter"]], readFraction(tags["tokenledger.quantity"]));
};

// Fees are booked as differences: those for one thing add up to what is due for it, of which the last one tells.
// Answers for how many things of earlier months the first fees are not here: those months were closed after them.
const checkFees = (fees, rates, period, findings) => {
  const groups = new Map();
  let elsewhere = 0;
  for (const fee of fees) {
    const { tags, provider, model } = fee.row;
    const about = "tokenledger.day" in tags
      ? ["", tags["tokenledger.day"]]
      : [fee.row.rate_version_id, tags["tokenledger.month"], tags["tokenledger.meter"]];
    const key = JSON.stringify([provider, model, ...about]);
    groups.set(key, [...(groups.get(key) ?? []), fee]);
  }
  for (const group of groups.values()) {
    group.sort((one, other) => countFee(one.row) - countFee(other.row));
    const { place, row } = group.at(-1);
    const about = row.tags["tokenledger.day"] ?? row.tags["tokenledger.month"] ?? "";
    if (about.slice(0, 7) < period && countFee(group[0].row) > 0) {
      elsewhere += 1;
      continue;
    }
    try {
      const booked = group.reduce((sum, fee) => sum + fee.row.billed_cost, 0n);
      findings.expectMoney(place, `${group.length} fees for this do not add up to what is due:`, findDueOf(row, rates), booked);
    } catch {
      findings.add(place, "a fee that says not what for: its tags and its price list do not tell what is due");
    }
  }
  return elsewhere;
};

// How many fees were booked for the same before: the last member of its event_id.
const countFee = (row) => {
  try {
    return Number(JSON.parse(row.event_id).at(-1));
  } catch {
    return -1;
  }
};

// --- rows ---

const WHOLE = /^(0|-?[1-9][0-9]*)$/;

// A line of entries.jsonl: whole numbers as BigInt, other usage as fractions. Throws with what is wrong with its form.
const readRow = (bytes) => {
  const text = Proof.decoder.decode(bytes);
  const row = JSON.parse(text);
  if (Proof.writeCanonical(row) !== text) throw new Error("it is not written in the canonical way");
  if (row.v !== "tokenledger/entry/1") throw new Error(`v is ${row.v}, and not tokenledger/entry/1`);
  for (const name of ["calls", "context_tier", "line", "reported_cost", ...TOKENS, ...COSTS]) {
    if (row[name] === null && (name.endsWith("_cost"))) continue;
    if (typeof row[name] !== "string" || !WHOLE.test(row[name])) throw new Error(`${name} is no whole number`);
    row[name] = BigInt(row[name]);
  }
  row.other = Object.entries(row.other_usage).map(([usage, amount]) => [usage, readFraction(amount)]);
  return row;
};

const turnRound = (row) => {
  const turned = { ...row, other: row.other.map(([usage, used]) => [usage, { top: -used.top, bottom: used.bottom }]) };
  for (const name of ["calls", "reported_cost", ...TOKENS, ...COSTS]) if (row[name] !== null) turned[name] = -row[name];
  return turned;
};

// What a reversal must take back, as one text.
const FACTS = [
  "provider", "model", "feature", "environment", "cost_center", "user_ref", "event_id", "charge_period_start", "billing_period",
  "currency", "pricing_status", "rate_version_hash", "reported_cost", "calls", ...TOKENS, ...COSTS,
];
const writeFacts = (row) => {
  const used = row.other.map(([usage, { top, bottom }]) => `${usage} ${(top * 10n ** 12n) / bottom}`).sort();
  return [...FACTS.map((name) => String(row[name])), ...used].join("\0");
};

const SECTIONS = { rating: "correction", correction: "correction", fee: "fee", credit: "credit" };
const nameSection = (row) => {
  if (row.pricing_status === "unpriced") return "unpriced";
  if (row.kind !== "usage") return SECTIONS[row.kind] ?? "adjustment";
  return row.charge_period_start.slice(0, 7) === row.billing_period.slice(0, 7) ? "usage" : "correction";
};

// --- an archive ---

class ArchiveCheck {
  constructor(archive, tell) {
    this.archive = archive;
    this.tell = tell;
    this.findings = new Findings();
    this.notes = [];
    this.leaves = [];
    this.batches = [];
    this.places = new Map();
    this.unchecked = 0;
    this.signatures = 0;
    this.rows = 0;
    this.fees = [];
    this.takenBack = new Map();
    this.quantities = new Map();
    this.totals = { entries: 0, acts: 0, calls: 0n, unpriced: 0, unpricedCalls: 0n, billed: new Map(), listed: 0n, saved: 0n, products: new Map() };
  }

  async run() {
    await this.readManifest();
    await this.checkFiles();
    await this.readKeys();
    await this.checkReceipts();
    await this.readRates();
    await this.checkRows();
    await this.checkTree();
    await this.checkLog();
    this.checkManifest();
    await this.checkStatement();
    return this;
  }

  async readText(name) {
    return Proof.decoder.decode(await this.archive.readBytes(name));
  }

  async readJson(name) {
    return JSON.parse(await this.readText(name));
  }

  async readManifest() {
    const manifest = await this.readJson("bundle.json");
    if (manifest.v !== "tokenledger/bundle/1") throw new Error(`it is ${manifest.v}, and this page checks tokenledger/bundle/1`);
    this.manifest = manifest;
    this.origin = manifest.origin;
    this.first = Number(manifest.first);
    this.end = Number(manifest.end);
    const match = /^tokenledger\/([0-9a-f]+)\/([0-9]+)$/.exec(manifest.origin);
    if (!match || !/^\d{4}-\d\d$/.test(manifest.period)) throw new Error("bundle.json cannot be read");
    this.installation = match[1];
    this.findings.expect("bundle.json", "the origin is not the tenant’s:", manifest.tenant.number, match[2]);
  }

  // Every file is named in bundle.json with its SHA-256, and once; entries.jsonl by its rows' hashes.
  async checkFiles() {
    const { names } = this.archive;
    const named = Object.keys(this.manifest.files);
    for (const name of new Set([...names, ...named, "entries.jsonl"])) {
      if (name === "bundle.json") continue;
      const count = names.filter((each) => each === name).length;
      if (count > 1) this.findings.add(name, "it stands more than once in the archive");
      if (!count) this.findings.add(name, "it is named in bundle.json and missing in the archive");
      if (!count || name === "entries.jsonl") continue;
      const digest = Proof.writeHex(Proof.sha256(await this.archive.readBytes(name)));
      this.findings.expect(name, "its SHA-256 is not that of bundle.json:", this.manifest.files[name], digest);
      await this.tell("files");
    }
  }

  // The first key of a purpose is taken as it stands; each other one must be announced by one before it.
  async readKeys() {
    this.keys = new Map();
    const document = await this.readJson("keys.json");
    for (const key of document.keys) {
      const publicKey = Proof.readHex(key.public_key);
      const id = Proof.writeHex(Proof.sha256(publicKey)).slice(0, 16);
      const isFirst = ![...this.keys.values()].some((known) => known.purpose === key.purpose);
      const fault = await this.findAnnouncementFault(key, id, publicKey, isFirst);
      if (fault) this.findings.add(`keys.json, ${key.purpose} key ${id}`, fault);
      else this.keys.set(id, { purpose: key.purpose, publicKey });
      if (isFirst && !fault) this.notes.push(`Judged by the ${key.purpose} key ${id} of the archive itself: compare it with the one that you know`);
    }
    for (const purpose of ["receipt", "seal"]) {
      if (![...this.keys.values()].some((key) => key.purpose === purpose)) this.findings.add("keys.json", `there is no ${purpose} key that is known`);
    }
  }

  async findAnnouncementFault(key, id, publicKey, isFirst) {
    try {
      const announcement = JSON.parse(key.announcement);
      const said = JSON.parse(announcement.statement);
      const signers = [[id, publicKey]];
      if (!isFirst) {
        if (!this.keys.has(said.previous)) return `it follows key ${said.previous || "none"}, which is not known: it may be anybody’s`;
        signers.push([said.previous, this.keys.get(said.previous).publicKey]);
      }
      if (said.v !== "tokenledger/key/1" || said.key_id !== id || said.purpose !== key.purpose || said.public_key !== key.public_key) {
        return "its announcement is of another key";
      }
      for (const [signer, signing] of signers) {
        const bytes = Proof.encoder.encode(announcement.statement);
        if (!this.count(await Proof.isSigned(signing, bytes, Proof.decode64(announcement.signatures[signer], true)))) {
          return `key ${signer} has not signed its announcement`;
        }
      }
    } catch {
      return "its announcement cannot be read";
    }
    return "";
  }

  // A signature that this browser cannot check counts as neither right nor wrong.
  count(verdict) {
    this.signatures += 1;
    if (verdict === null) this.unchecked += 1;
    return verdict !== false;
  }

  // Every header against the key that signed it; its hash is a leaf of the tenant's tree.
  async checkReceipts() {
    let number = 0;
    let waiting = [];
    for await (const line of listLines(this.archive, "batches.jsonl")) {
      number += 1;
      const batch = this.readBatch(line, number);
      this.leaves.push(batch.leaf);
      this.batches.push(batch);
      if (batch.fault) {
        this.findings.add(`batches.jsonl line ${number}`, `batch ${this.first + number - 1} of the tree: ${batch.fault}`);
        continue;
      }
      const place = `batches.jsonl line ${number}, batch ${batch.header.batch_id}`;
      if (this.places.has(batch.header.batch_id)) this.findings.add(place, "the batch stands in the tree twice");
      this.places.set(batch.header.batch_id, number);
      this.findings.expect(place, "it is another tenant’s:", this.manifest.tenant.number, batch.header.tenant_id);
      const key = this.keys.get(batch.keyId);
      if (!key || key.purpose !== "receipt") {
        this.findings.add(place, `its receipt is signed by key ${batch.keyId}, which is none that is known`);
        continue;
      }
      waiting.push(Proof.isSigned(key.publicKey, batch.signed, batch.signature).then((verdict) => {
        if (!this.count(verdict)) this.findings.add(place, "its receipt’s signature is wrong: the header is not as it was signed");
      }));
      if (waiting.length === ROWS_AT_ONCE) {
        await Promise.all(waiting);
        waiting = [];
        await this.tell("receipts", number / (this.end - this.first));
      }
    }
    await Promise.all(waiting);
    this.findings.expect("batches.jsonl", "it has not the batches that bundle.json names:", this.end - this.first, number);
  }

  readBatch(line) {
    try {
      const said = JSON.parse(Proof.decoder.decode(line));
      if (said.receipt === null) return { leaf: Proof.readHash(said.leaf), others: [], fault: "it is gone: neither its receipt nor its rows are there" };
      const receipt = Proof.readReceipt(said.receipt);
      const others = (said.leaves ?? []).map(([place, leaf]) => ({ line: BigInt(place), leaf: Proof.readHash(leaf) }));
      return { ...receipt, others, leaf: Proof.hashLeaf(receipt.data), fault: "" };
    } catch (error) {
      return { leaf: new Uint8Array(32), others: [], fault: `its line cannot be read: ${error.message}` };
    }
  }

  // Price lists by their hash, which is the file's name: the rows name it, and so are bound to the prices.
  async readRates() {
    this.rates = new Map();
    for (const name of this.archive.names.filter((each) => each.startsWith("rates/"))) {
      const bytes = await this.archive.readBytes(name);
      const hash = Proof.writeHex(Proof.sha256(bytes));
      if (name !== `rates/${hash}.json`) {
        this.findings.add(name, "the price list is not the one of this name");
        continue;
      }
      this.rates.set(hash, new PriceList(JSON.parse(Proof.decoder.decode(bytes))));
    }
  }

  // Every row against its form, its price and its batch, and every batch's header against its rows.
  async checkRows() {
    const leaves = [];
    const expected = Math.max(1, Number(this.manifest.counts.entries));
    let at = 0;
    let open = this.openBatch(0, 1);
    for await (const bytes of listLines(this.archive, "entries.jsonl")) {
      this.rows += 1;
      if (this.rows % ROWS_AT_ONCE === 0) await this.tell("rows", this.rows / expected);
      const leaf = Proof.hashLeaf(bytes);
      leaves.push(leaf);
      let row;
      try {
        row = readRow(bytes);
      } catch (error) {
        this.findings.add(`entries.jsonl line ${this.rows}`, `not a row: ${error.message}`);
        if (open) open.rows.push({ line: -1n, leaf, billed: 0n });
        continue;
      }
      const place = this.places.get(row.batch_id);
      if (place === undefined || place - 1 < at) {
        const known = place === undefined ? "no batch of the tree" : "a batch that is over";
        this.findings.add(`entries.jsonl line ${this.rows}`, `a row of ${known}: ${row.batch_id}`);
        continue;
      }
      while (at < place - 1) {
        this.closeBatch(open);
        at += 1;
        open = this.openBatch(at, this.rows);
      }
      open.rows.push({ line: row.line, leaf, billed: row.billed_cost });
      this.checkRow(row, open.batch.header);
    }
    for (; at < this.batches.length; at += 1, open = this.openBatch(at, this.rows + 1)) this.closeBatch(open);
    const elsewhere = checkFees(this.fees, this.rates, this.manifest.period, this.findings);
    if (elsewhere) this.notes.push(`Fees for ${elsewhere} things of earlier months: the first stand in their archives`);
    await this.checkTakenBack();
    const digest = Proof.writeHex(Proof.sha256(...leaves));
    this.findings.expect("entries.jsonl", "its rows are not those that bundle.json names:", this.manifest.leaves, digest);
  }

  openBatch(at, firstLine) {
    return at < this.batches.length ? { number: at + 1, batch: this.batches[at], rows: [], firstLine } : null;
  }

  closeBatch(open) {
    if (!open || open.batch.fault) return;
    const { header, others } = open.batch;
    const place = `batches.jsonl line ${open.number}, batch ${header.batch_id}`;
    const expected = Number(header.billing_periods[`${this.manifest.period}-01`] ?? "0");
    if (!open.rows.length && !expected) return;
    this.findings.expect(place, `rows of ${this.manifest.period}: its receipt says`, expected, open.rows.length);
    const placed = [...open.rows, ...others];
    if (others.length) placed.sort((one, other) => (one.line < other.line ? -1 : one.line > other.line ? 1 : 0));
    if (placed.some((each, index) => index && placed[index - 1].line >= each.line)) {
      this.findings.add(place, "its rows are not in the order of their lines, or one stands twice");
    }
    this.findings.expect(place, "rows in all: its receipt says", Number(header.entry_count), placed.length);
    if (Proof.writeHex(Proof.hashTree(placed.map((each) => each.leaf))) !== header.root) {
      const span = open.rows.length > 1 ? `lines ${open.firstLine} to ${open.firstLine + open.rows.length - 1}` : `line ${open.firstLine}`;
      this.findings.add(place, `its rows (entries.jsonl ${span}) are not those that were booked: their hashes do not give the root`);
    }
    if (others.length) return;
    const billed = open.rows.reduce((sum, row) => sum + (row.billed ?? 0n), 0n);
    this.findings.expectMoney(place, "billed_cost of its rows: its receipt says", BigInt(header.billed_cost), billed);
    this.findings.expect(place, "rows without a price: its receipt says", Number(header.unpriced_count), open.rows.filter((row) => row.billed === null).length);
  }

  checkRow(row, header) {
    const place = `entries.jsonl line ${this.rows}, entry ${row.batch_id}.${row.line}`;
    for (const name of ["tenant_id", "batch_id", "api_key_id", "recorded_at"]) {
      if (header) this.findings.expect(place, `${name} is not its batch’s:`, header[name], row[name]);
    }
    this.findings.expect(place, "it is charged in another month:", `${this.manifest.period}-01`, row.billing_period);
    this.addRow(row, this.checkCosts(row, place));
  }

  // What was charged, by usage.
  checkCosts(row, place) {
    const isUnpriced = row.pricing_status === "unpriced";
    const missing = COSTS.filter((name) => row[name] === null).length;
    if (isUnpriced !== (row.billed_cost === null) || (missing && missing !== COSTS.length)) {
      this.findings.add(place, "it has a part of a price: all costs are null exactly where pricing_status is unpriced");
      return [];
    }
    const isCall = CALLS.includes(row.kind);
    if (isCall) this.takeBack(row);
    if (isUnpriced) return isCall ? [...TOKENS.slice(0, 5).map((name) => [name, { top: row[name], bottom: 1n }]), ...row.other] : [];
    const sum = COSTS.slice(0, 5).reduce((total, name) => total + row[name], 0n);
    this.findings.expectMoney(place, "billed_cost is not the sum of the five costs:", sum, row.billed_cost);
    if (isCall) return this.checkCall(row, place);
    if (row.kind === "fee") this.fees.push({ place, row });
    if (row.kind === "admin_act" && COSTS.some((name) => row[name] !== 0n)) this.findings.add(place, "an act of a person costs something");
    return [];
  }

  checkCall(row, place) {
    const isReversed = row.calls < 0n;
    const call = isReversed ? turnRound(row) : row;
    try {
      const refusal = this.rates.get(row.rate_version_hash)?.explainRefusal(call, this.manifest.tenant.slug);
      if (refusal) throw new Error(refusal);
      const { costs, tier, charged } = priceCall(call, this.rates);
      for (const name of COSTS) {
        this.findings.expectMoney(place, `${name} is not quantity × price:`, isReversed ? -costs[name] : costs[name], row[name]);
      }
      this.findings.expect(place, "context_tier is not the one reached:", BigInt(tier), row.context_tier);
      return charged.map(([usage, { top, bottom }]) => [usage, { top: isReversed ? -top : top, bottom }]);
    } catch (error) {
      this.findings.add(place, error.message);
      return [];
    }
  }

  // Remember what a reversal says of the entry that it takes back: the entry may stand anywhere.
  takeBack(row) {
    if (row.calls >= 0n || row.kind === "usage") return;
    const own = `${row.batch_id}.${row.line}`;
    const entry = row.tags["tokenledger.reverses"] ?? "";
    if (this.takenBack.has(entry)) this.findings.add(`entry ${own}`, `it takes back ${entry}, which was taken back before`);
    const isEarlier = entry !== "" && row.charge_period_start.slice(0, 7) < this.manifest.period;
    this.takenBack.set(entry, { own, facts: writeFacts(turnRound(row)), isEarlier });
  }

  // A second look at the rows, where some take others back: what was taken back is what was booked.
  async checkTakenBack() {
    if (!this.takenBack.size) return;
    let number = 0;
    for await (const bytes of listLines(this.archive, "entries.jsonl")) {
      number += 1;
      if (number % ROWS_AT_ONCE === 0) await this.tell("rows");
      const found = /"batch_id":"([0-9a-f-]+)".*?"line":"(\d+)"/.exec(Proof.decoder.decode(bytes));
      const entry = found && `${found[1]}.${found[2]}`;
      if (!this.takenBack.has(entry)) continue;
      const { own, facts } = this.takenBack.get(entry);
      this.takenBack.delete(entry);
      if (writeFacts(readRow(bytes)) !== facts) this.findings.add(`entry ${own}`, `it takes back something else than entries.jsonl line ${number}`);
    }
    let elsewhere = 0;
    for (const [entry, { own, isEarlier }] of this.takenBack) {
      if (isEarlier) elsewhere += 1;
      else this.findings.add(`entry ${own}`, `it takes back ${entry || "nothing"}, which is not in this month`);
    }
    if (elsewhere) this.notes.push(`${elsewhere} rows take back rows of earlier months, which stand in their archives`);
  }

  addRow(row, charged) {
    const { totals } = this;
    totals.entries += 1;
    if (row.kind === "admin_act") {
      totals.acts += 1;
      return;
    }
    totals.calls += row.calls;
    totals.listed += row.list_cost ?? 0n;
    totals.saved += row.saved_cost ?? 0n;
    totals.billed.set(row.currency, (totals.billed.get(row.currency) ?? 0n) + (row.billed_cost ?? 0n));
    if (row.billed_cost === null) {
      totals.unpriced += 1;
      totals.unpricedCalls += row.calls;
    }
    const product = [nameSection(row), row.feature, row.provider, row.model].join("\0");
    const known = totals.products.get(product) ?? { billed: 0n, listed: 0n };
    totals.products.set(product, { billed: known.billed + (row.billed_cost ?? 0n), listed: known.listed + (row.list_cost ?? 0n) });
    for (const [usage, quantity] of charged) {
      this.addQuantity(0, [product, usage, row.rate_version_hash, row.charge_period_start.slice(0, 7)].join("\0"), quantity);
    }
  }

  // side 0: of the rows; 1: of the statement's lines.
  addQuantity(side, key, quantity) {
    if (!this.quantities.has(key)) this.quantities.set(key, [ZERO, ZERO]);
    const sums = this.quantities.get(key);
    sums[side] = addUp(sums[side], quantity);
    if (sums[side].bottom > 10n ** 40n) sums[side] = reduce(sums[side]);
  }

  async checkTree() {
    try {
      const tree = await this.readJson("tree.json");
      const size = Number(tree.size);
      const beside = (places, hashes) => {
        if (places.length !== hashes.length) throw new Error("tree.json has not the hashes left and right of the month");
        return places.map(([level, place], index) => [level, place, Proof.readHash(hashes[index])]);
      };
      const left = beside(Proof.splitRange(0, this.first), tree.left);
      const right = beside(Proof.splitRange(this.end, size), tree.right);
      this.findings.expect("tree.json", "first and end:", `${this.first} ${this.end}`, `${tree.first} ${tree.end}`);
      const checkpoint = await Proof.readCheckpoint(await this.readText("checkpoint.txt"), this.listSealKeys());
      if (!this.count(checkpoint.isSigned)) throw new Error("its signature is wrong: it was not signed as it stands");
      this.checkpoint = checkpoint;
      this.findings.expect("checkpoint.txt", "it is of another tree:", this.origin, checkpoint.origin);
      this.findings.expect("checkpoint.txt", "its size is not that of tree.json:", size, checkpoint.size);
      const own = this.leaves.map((leaf, index) => [0, this.first + index, leaf]);
      const isWhole = this.leaves.length === this.end - this.first;
      if (!isWhole || !Proof.isSame(Proof.joinSubtrees([...left, ...own, ...right]), checkpoint.root)) {
        this.findings.add("batches.jsonl, tree.json", "the batches are not those of the checkpoint: they give another root");
      }
    } catch (error) {
      this.findings.add("checkpoint.txt, tree.json", error.message);
    }
  }

  listSealKeys() {
    return [...this.keys.values()].filter((key) => key.purpose === "seal").map((key) => key.publicKey);
  }

  // The checkpoint is a leaf of the log of all tenants' checkpoints, under a name that nobody else can read.
  async checkLog() {
    if (!this.checkpoint) return;
    try {
      const log = await this.readJson("log.json");
      const head = await Proof.readCheckpoint(await this.readText("log-head.txt"), this.listSealKeys());
      if (!this.count(head.isSigned)) throw new Error("the head’s signature is wrong");
      const leaf = JSON.parse(log.leaf);
      const hidden = Proof.writeHex(Proof.hmac(Proof.readHex(log.salt), Proof.encoder.encode(this.origin)));
      const own = ["tokenledger/checkpoint/1", hidden, String(this.checkpoint.size), Proof.writeHex(this.checkpoint.root)];
      this.findings.expect("log.json", "the leaf is of another checkpoint:", own.join(" "), [leaf.v, leaf.origin, leaf.size, leaf.root].join(" "));
      this.findings.expect("log-head.txt", "it is of another log:", `tokenledger/${this.installation}/log`, head.origin);
      const path = log.path.map(Proof.readHash);
      if (!Proof.isIncluded(Proof.hashLeaf(Proof.encoder.encode(log.leaf)), Number(log.index), head.size, path, head.root)) {
        this.findings.add("log.json", "the checkpoint is not in the log: the path does not lead to its head");
      }
    } catch (error) {
      this.findings.add("log.json, log-head.txt", error.message);
    }
  }

  checkManifest() {
    const { counts, totals } = this.manifest;
    const billed = Object.fromEntries([...this.totals.billed].map(([currency, amount]) => [currency, String(amount)]));
    for (const [name, expected, found] of [
      ["entries", this.totals.entries, counts.entries], ["batches", this.leaves.length, counts.batches],
      ["price lists", this.rates.size, counts.rates], ["unpriced", this.totals.unpriced, totals.unpriced],
    ]) this.findings.expect("bundle.json", `${name} are not what is in the archive:`, String(expected), found);
    if (Proof.writeCanonical(billed) !== Proof.writeCanonical(totals.billed_cost)) {
      const write = (sums) => Object.entries(sums).map(([currency, amount]) => `${writeMoney(BigInt(amount))} ${currency}`).join(", ") || "nothing";
      this.findings.add("bundle.json", `billed_cost is not the sum of the rows: expected ${write(billed)}, found ${write(totals.billed_cost)}`);
    }
  }

  // Each feature and model of the statement against its rows, and each total.
  async checkStatement() {
    try {
      const statement = await this.readJson("statement.json");
      const of = [statement.v, statement.tenant, statement.period].join(" ");
      this.findings.expect("statement.json", "it is of another month:", ["tokenledger/statement/1", this.manifest.tenant.slug, this.manifest.period].join(" "), of);
      if (statement.checkpoint && this.checkpoint) {
        this.findings.expect("statement.json", "it names another checkpoint:", Proof.writeHex(this.checkpoint.root), statement.checkpoint.root);
      }
      const told = new Map();
      for (const [place, line] of statement.lines.entries()) {
        this.findings.expect(`statement.json line ${place + 1}`, "its number is not its place:", String(place + 1), line.line);
        const product = [line.section, line.feature, line.provider, line.model].join("\0");
        const known = told.get(product) ?? { billed: 0n, listed: 0n };
        told.set(product, { billed: known.billed + readPico(line.billed_cost), listed: known.listed + readPico(line.list_cost) });
        this.checkLine(line);
        if (["usage", "correction", "unpriced"].includes(line.section) && !NOT_MULTIPLIED.includes(line.usage)) {
          this.addQuantity(1, [product, line.usage, line.rate_version_hash, line.charge_month.slice(0, 7)].join("\0"), readFraction(line.quantity));
        }
      }
      for (const product of new Set([...told.keys(), ...this.totals.products.keys()])) {
        const place = `statement.json, lines of ${product.split("\0").map((part) => part || "none").join(", ")}`;
        const none = { billed: 0n, listed: 0n };
        const [rows, lines] = [this.totals.products.get(product) ?? none, told.get(product) ?? none];
        this.findings.expectMoney(place, "the lines do not add up to the rows:", rows.billed, lines.billed);
        this.findings.expectMoney(place, "at list prices they do not:", rows.listed, lines.listed);
      }
      for (const [key, [rows, lines]] of this.quantities) {
        if (isEqual(rows, lines)) continue;
        const place = `statement.json, lines of ${key.split("\0").map((part) => part || "none").join(", ")}`;
        this.findings.add(place, "the quantities do not add up to the rows’");
      }
      this.checkTotals(statement);
    } catch (error) {
      this.findings.add("statement.json", `it cannot be read: ${error.message}`);
    }
  }

  // A line's costs are its quantity times its prices, which are those of the list that it names.
  checkLine(line) {
    const place = `statement.json line ${line.line} (${line.section}, ${line.feature}, ${line.model}, ${line.meter})`;
    const [billed, listed] = [readPico(line.billed_cost), readPico(line.list_cost)];
    for (const name of ["contracted_cost", "effective_cost"]) this.findings.expect(place, `${name} is not billed_cost:`, line.billed_cost, line[name]);
    this.findings.expectMoney(place, "billed_cost_shown is not rounded:", toCent(billed), readPico(line.billed_cost_shown));
    if (line.price === null) {
      const most = BigInt(line.ledger_rows) * 10n; // ten meters a row, each rounded by half of the last digit at most
      const isLarge = [billed, listed].some((amount) => 2n * (amount < 0n ? -amount : amount) > most);
      if (line.usage === "remainder" && isLarge) this.findings.add(place, "a remainder of more than rounding can leave");
      return;
    }
    for (const [name, price, cost] of [["billed_cost", "price", billed], ["list_cost", "list_price", listed]]) {
      const exact = multiply(readFraction(line.quantity), readFraction(line[price]));
      this.findings.expectMoney(place, `${name} is not quantity × ${price}:`, round(exact.top * PICO, exact.bottom * BigInt(line.per)), cost);
    }
    const isFree = line.cache_hit === "true";
    const told = [line.price, line.list_price].map(readFraction);
    const known = this.rates.get(line.rate_version_hash)?.listPrices(line.meter) ?? [];
    const isKnown = known.some(([price, listPrice, per]) => String(per) === line.per
      && (isFree ? told.every((each) => !each.top) : isEqual(told[0], readFraction(price)) && isEqual(told[1], readFraction(listPrice))));
    if (!isKnown) this.findings.add(place, `its price is not in the price list ${line.rate_version_hash.slice(0, 16)} that it names`);
  }

  checkTotals({ totals: told, lines }) {
    const { totals } = this;
    const billed = totals.billed.get("USD") ?? 0n;
    const counts = { lines: lines.length, ledger_rows: totals.entries - totals.acts, acts: totals.acts, calls: totals.calls, unpriced_calls: totals.unpricedCalls };
    for (const [name, value] of Object.entries(counts)) {
      this.findings.expect("statement.json, totals", `${name} is not what the rows add up to:`, String(value), told[name]);
    }
    const money = {
      billed_cost: billed, contracted_cost: billed, effective_cost: billed, list_cost: totals.listed, saved_cost: totals.saved,
      lines_shown: lines.reduce((sum, line) => sum + readPico(line.billed_cost_shown), 0n), charged: toCent(billed),
    };
    for (const [name, value] of Object.entries(money)) {
      this.findings.expectMoney("statement.json, totals", `${name} is not what the rows add up to:`, value, readPico(told[name]));
    }
  }
}

const NOT_MULTIPLIED = ["reported_cost", "no_usage", "remainder"]; // lines that are no quantity of a meter
const CENT = PICO / 100n;
const toCent = (pico) => round(pico, CENT) * CENT;

// Money with at most 12 decimals in 10^-12 units; null counts nothing.
const readPico = (text) => {
  if (text === null || text === "") return 0n;
  const amount = readFraction(text);
  return (amount.top * PICO) / amount.bottom;
};

// --- the page ---

const found = document.getElementById("found");
const drop = document.getElementById("drop");
const input = document.getElementById("archive");
let running = 0;

const make = (tag, text = "", className = "") => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};

const WORDS = { files: "Hashing the files", receipts: "Checking receipts", rows: "Hashing and pricing rows" };

const showProgress = (name) => {
  const bar = make("progress");
  const words = make("p", `Reading ${name} …`, "quiet");
  bar.setAttribute("aria-label", "Checking the archive");
  found.replaceChildren(words, bar);
  return async (stage, share) => {
    words.textContent = `${WORDS[stage]} …`;
    if (share !== undefined) bar.value = Math.min(1, share);
    await new Promise((resolve) => { setTimeout(resolve); });
  };
};

const showResult = (name, check, seconds) => {
  const { findings, manifest, totals, checkpoint } = check;
  const number = (value) => value.toLocaleString("en");
  const isRight = !findings.count && !check.unchecked;
  const strip = make("div", "", isRight ? "strip calm" : "strip");
  strip.setAttribute("role", findings.count ? "alert" : "status");
  const words = make("p");
  if (findings.count) {
    words.append(make("b", `▲ ${number(findings.count)} ${findings.count === 1 ? "thing is" : "things are"} wrong.`), " This archive is not what was booked, signed and charged, or was changed since.");
  } else if (check.unchecked) {
    words.append(make("b", "▲ What could be checked agrees."), ` This browser cannot check Ed25519 signatures: ${number(check.unchecked)} were left out. Take the script for them.`);
  } else {
    words.append(make("b", "✓ All agrees."), " Nothing was added, changed or dropped since it was booked, and every amount follows from its price.");
  }
  strip.append(words);
  const facts = make("dl", "", "kv");
  for (const [term, text] of [
    ["File", name],
    ["Of", `${manifest.tenant.name}, ${manifest.period}`],
    ["Rows", `${number(check.rows)} in ${number(check.leaves.length)} batches; ${number(check.rates.size)} price lists`],
    ["Charged", [...totals.billed].map(([currency, amount]) => `${writeMoney(amount)} ${currency}`).join(", ") || "nothing"],
    ["Checkpoint", checkpoint ? `${number(checkpoint.size)} batches, root ${Proof.writeHex(checkpoint.root)}` : "none that is right"],
    ["Signatures", `${number(check.signatures - check.unchecked)} checked`],
    ["Took", `${seconds.toFixed(1)} s on this computer`],
  ]) facts.append(make("dt", term), make("dd", text, term === "Checkpoint" ? "hash" : ""));
  const parts = [strip, facts];
  if (findings.count) {
    const list = make("ol", "", "faults");
    for (const { place, what } of findings.texts) {
      const item = make("li");
      item.append(make("b", place), `: ${what}`);
      list.append(item);
    }
    parts.splice(1, 0, list);
    if (findings.count > findings.texts.length) parts.splice(2, 0, make("p", `The first ${findings.texts.length} of ${number(findings.count)}.`, "quiet"));
  }
  const told = make("ul", "", "sentences");
  for (const note of check.notes) told.append(make("li", `${note}.`, "quiet"));
  parts.push(told);
  found.replaceChildren(...parts);
};

const showRefusal = (name, text) => {
  const strip = make("div", "", "strip");
  strip.setAttribute("role", "alert");
  const words = make("p");
  words.append(make("b", `▲ ${name} cannot be checked:`), ` ${text}.`);
  strip.append(words);
  found.replaceChildren(strip);
};

const checkFile = async (file) => {
  const run = (running += 1);
  if (file.size > BYTES_MAX) {
    showRefusal(file.name, "it has more than 200 MB. Take the script");
    return;
  }
  const tell = showProgress(file.name);
  const started = performance.now();
  try {
    const check = await new ArchiveCheck(await openArchive(file), async (...how) => {
      if (run !== running) throw new Error("another file was chosen");
      await tell(...how);
    }).run();
    if (run === running) showResult(file.name, check, (performance.now() - started) / 1000);
  } catch (error) {
    if (run === running) showRefusal(file.name, error.message);
  }
};

input.addEventListener("change", () => { if (input.files.length) checkFile(input.files[0]); });
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) checkFile(event.dataTransfer.files[0]);
});
