// Writes packages/ikev2/src/registry/*.ts from registry/*.tsv. With --check: writes nothing, exits 1 when out of date.
import "../scripts/nodeVersion.js";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {{ name: string, value: number, reference: string }} Row */

const tablesFolder = dirname(fileURLToPath(import.meta.url));
const outputFolder = join(tablesFolder, "..", "packages", "ikev2", "src", "registry");
const mark = "// Generated from registry/";

main(process.argv.slice(2));

/** @param {string[]} args */
function main(args) {
  const check = args.includes("--check");
  const wanted = new Map(tableFiles().map((file) => generate(file)));
  const outOfDate = [...wanted].filter(([name, text]) => readIfThere(join(outputFolder, name)) !== text);
  const stray = readdirSync(outputFolder).filter((name) => !wanted.has(name) && isGenerated(name));
  if (!check) {
    for (const [name, text] of outOfDate) {
      writeFileSync(join(outputFolder, name), text);
      console.log(`wrote ${name}`);
    }
  }
  const complaints = [
    ...(check ? outOfDate.map(([name]) => `${name} is out of date: run npm run generate`) : []),
    ...stray.map((name) => `${name} has no table any more: remove it`),
  ];
  for (const complaint of complaints) {
    console.error(complaint);
  }
  process.exitCode = complaints.length > 0 ? 1 : 0;
}

function tableFiles() {
  return readdirSync(tablesFolder)
    .filter((name) => name.endsWith(".tsv"))
    .sort();
}

/** [output file name, TypeScript source] of one table. @param {string} tableFile @returns {[string, string]} */
function generate(tableFile) {
  const table = parse(tableFile, readFileSync(join(tablesFolder, tableFile), "utf8"));
  const rows = table.rows.map((row) => `  /** ${row.reference} */\n  ${row.name}: ${row.value},`);
  const text = [
    `${mark}${basename(tableFile)}. Do not edit.`,
    `/** ${table.title}.${table.privateUse ? ` Private use: ${table.privateUse}.` : ""} */`,
    `export const ${table.constant} = {`,
    ...rows,
    "} as const;",
    `export type ${table.constant} = (typeof ${table.constant})[keyof typeof ${table.constant}];`,
    "",
  ].join("\n");
  return [`${table.constant.charAt(0).toLowerCase()}${table.constant.slice(1)}.ts`, text];
}

/** @param {string} file @param {string} text */
function parse(file, text) {
  const lines = text.split("\n").filter((line) => line !== "");
  const comments = lines.filter((line) => line.startsWith("# "));
  const [columns, ...rows] = lines.filter((line) => !line.startsWith("#"));
  if (columns !== "name\tvalue\treference") {
    throw new Error(`${file}: the columns must be name, value, reference`);
  }
  const table = {
    constant: comment(comments, "const"),
    title: comment(comments, "title"),
    privateUse: comment(comments, "private use"),
    rows: rows.map((row) => parseRow(file, row)),
  };
  const { constant, title } = table;
  if (constant === undefined || !/^[A-Z][A-Za-z]+$/.test(constant) || title === undefined) {
    throw new Error(`${file}: needs the lines "# const: Name" and "# title: …"`);
  }
  requireOrderedAndUnique(file, table.rows);
  return { ...table, constant, title };
}

/** @param {string[]} comments @param {string} key */
function comment(comments, key) {
  const prefix = `# ${key}: `;
  return comments.find((line) => line.startsWith(prefix))?.slice(prefix.length);
}

/** @param {string} file @param {string} row @returns {Row} */
function parseRow(file, row) {
  const [name = "", value = "", reference, ...rest] = row.split("\t");
  if (rest.length > 0 || !reference || !/^[A-Za-z][A-Za-z0-9_]*$/.test(name) || !/^\d{1,5}$/.test(value)) {
    throw new Error(`${file}: not a row of name, value, reference: ${JSON.stringify(row)}`);
  }
  if (Number(value) > 65535) {
    throw new Error(`${file}: ${name} does not fit 16 bits`);
  }
  return { name, value: Number(value), reference };
}

/** A code point typed twice or out of place is the mistake that nobody sees in review. @param {string} file @param {Row[]} rows */
function requireOrderedAndUnique(file, rows) {
  const names = new Set(rows.map((row) => row.name));
  if (names.size !== rows.length) {
    throw new Error(`${file}: a name occurs twice`);
  }
  rows.forEach((row, index) => {
    const before = rows[index - 1];
    if (before !== undefined && row.value <= before.value) {
      throw new Error(`${file}: ${row.name} is not above the value before it`);
    }
  });
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}

/** @param {string} name */
function isGenerated(name) {
  return readFileSync(join(outputFolder, name), "utf8").startsWith(mark);
}
