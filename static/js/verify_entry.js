// Recomputes the proof of the page's entry from the row's own bytes up to the signed checkpoint, and says what it compared.
"use strict";

const material = JSON.parse(document.getElementById("proof-material").textContent);
const verified = document.getElementById("verified");
const shown = (hash) => `${hash.slice(0, 8)}…${hash.slice(-6)}`;

// Each step: what was compared, and whether it agrees; null where this browser cannot tell.
const verifyEntry = async () => {
  const steps = [];
  const leaf = Proof.hashLeaf(Proof.encoder.encode(material.row));
  const leafHex = Proof.writeHex(leaf);
  steps.push([leafHex === material.leaf, `The row, ${Proof.encoder.encode(material.row).length.toLocaleString("en")} bytes, hashes to ${shown(leafHex)}; its leaf is ${shown(material.leaf)}.`]);
  const isInBatch = Proof.isIncluded(leaf, material.index, material.size, material.path.map(Proof.readHash), Proof.readHash(material.root));
  steps.push([isInBatch, `From it, a path of ${material.path.length} leads to the batch’s root ${shown(material.root)}.`]);
  const receipt = Proof.readReceipt(material.receipt);
  steps.push([receipt.header.root === material.root, `The receipt names the root ${shown(receipt.header.root)}.`]);
  const receiptKey = material.keys.receipt[receipt.keyId];
  steps.push([
    receiptKey ? await Proof.isSigned(Proof.readHex(receiptKey), receipt.signed, receipt.signature) : false,
    `The receipt is signed by the key ${receipt.keyId}${receiptKey ? "" : ", which was never announced"}.`,
  ]);
  if (!material.seal) return steps;
  const checkpoint = await Proof.readCheckpoint(material.seal.note, Object.values(material.keys.seal).map(Proof.readHex));
  const batchLeaf = Proof.hashLeaf(receipt.data);
  const isInTree = Proof.isIncluded(batchLeaf, material.seal.index, checkpoint.size, material.seal.path.map(Proof.readHash), checkpoint.root);
  steps.push([isInTree, `What the receipt signs hashes to ${shown(Proof.writeHex(batchLeaf))}, from which a path of ${material.seal.path.length} leads to the checkpoint’s root ${shown(Proof.writeHex(checkpoint.root))}.`]);
  steps.push([checkpoint.isSigned, `The checkpoint of ${checkpoint.size.toLocaleString("en")} batches is signed by the key ${Proof.writeHex(Proof.sha256(checkpoint.key)).slice(0, 16)}.`]);
  return steps;
};

const show = (steps) => {
  const list = document.createElement("ol");
  list.className = "chain";
  for (const [verdict, text] of steps) {
    const item = document.createElement("li");
    item.className = verdict ? "done" : "look";
    const sign = document.createElement("b");
    sign.textContent = verdict ? "✓ " : verdict === null ? "▲ This browser cannot check: " : "✗ ";
    if (!verdict) sign.className = "signal";
    item.append(sign, text);
    list.append(item);
  }
  const strip = document.createElement("div");
  const isRight = steps.every(([verdict]) => verdict);
  strip.className = isRight ? "strip calm" : "strip";
  strip.setAttribute("role", "status");
  const words = document.createElement("p");
  const whole = document.createElement("b");
  whole.textContent = isRight ? "✓ Recomputed here, and it agrees." : "▲ Not all of it agrees.";
  words.append(whole, isRight && !material.seal ? " The batch waits for its seal." : "");
  strip.append(words);
  verified.replaceChildren(strip, list);
};

document.getElementById("verify-entry").hidden = false;
document.getElementById("verify-button").addEventListener("click", async () => {
  try {
    show(await verifyEntry());
  } catch (error) {
    show([[false, `What the page holds is no proof: ${error.message}.`]]);
  }
});
