/**
 * Writes scaling options into the text of an app's cell: where they are written already, else as attributes of the
 * class. CodeMirror's own grammar of Python says where a value begins and ends.
 */
import type { SyntaxNode } from "@lezer/common";
import { parser } from "@lezer/python";

import { plainNumber } from "../shared/text/format.mjs";

/** Options of the magic's line, by fal's names: they count more than the class. */
const FLAGS: Record<string, string> = {
  min_concurrency: "--min",
  max_concurrency: "--max",
  keep_alive: "--keep-alive",
  max_multiplexing: "--multiplex",
  warm: "--warm",
};
const MAGIC_LINE = /^[ \t]*%%fal_app\b.*$/m;
/** Lines of IPython, and what it assigns from a command: neither is Python. */
const OTHER_LINES = /^([ \t]*)(?:%%?(?=[A-Za-z_])|!)/gm;
const OTHER_VALUES = /^([ \t]*[\w., ]+=[ \t]*)([!%][^\n]*)$/gm;
/** A word of the magic's line, as a shell splits it. */
const WORD = /(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+/g;
/** What an assignment's target may consist of besides names. */
const TARGETS = new Set(["TupleExpression", "ArrayExpression", "ParenthesizedExpression"]);
/** What has names of its own. */
const SCOPES = new Set(["FunctionDefinition", "ClassDefinition"]);
const CLOSED = new Set([
  "LambdaExpression",
  "ComprehensionExpression",
  "ArrayComprehensionExpression",
  "SetComprehensionExpression",
]);

interface Edit {
  from: number;
  to: number;
  text: string;
}

/**
 * Return the cell's text with `values` (by fal's names) written into it.
 *
 * @throws {Error} one sentence, where the text has no place for them
 */
export function withOptions(source: string, className: string, values: Record<string, number>): string {
  const written = new AppClass(source, className);
  const magic = MAGIC_LINE.exec(source);
  const added: string[] = [];
  const edits: Edit[] = [];
  for (const [name, value] of Object.entries(values)) {
    const text = plainNumber(value);
    const edit = (magic && inMagic(magic, name, text)) ?? written.edit(name, text);
    if (edit) {
      edits.push(edit);
    } else if (name !== "warm") {
      added.push(`${name} = ${text}`);
    } else if (magic) {
      const at = magic.index + magic[0].indexOf("%%fal_app") + "%%fal_app".length;
      edits.push({ from: at, to: at, text: ` --warm ${text}` });
    } else {
      throw new Error("Runners kept ready are set in a cell's line %%fal_app, which this cell does not have.");
    }
  }
  if (added.length) {
    edits.push(written.insertion(added));
  }
  return applied(source, edits);
}

/** The change of a flag in the magic's line, where it has that flag; the last one counts. */
/** The line (from 1) of a source that has `text` and is nearest to `line`; `line` itself where none has it, or the last one. */
export function lineWith(source: string, line: number, text: string): number {
  const lines = source.split("\n");
  const near = lines
    .flatMap((one, at) => (one.trim() === text.trim() ? [at + 1] : []))
    .sort((one, other) => Math.abs(one - line) - Math.abs(other - line));
  return near[0] ?? Math.min(line, lines.length);
}

function inMagic(magic: RegExpExecArray, name: string, text: string): Edit | null {
  const flag = FLAGS[name];
  if (!flag) {
    return null;
  }
  const words = [...magic[0].matchAll(WORD)];
  for (const [n, { index, 0: word }] of [...words.entries()].reverse()) {
    const value = words[n + 1];
    const from = magic.index + (word === flag && value ? value.index : index + flag.length + 1);
    if (word === flag && value) {
      return { from, to: from + value[0].length, text };
    }
    if (word.startsWith(`${flag}=`)) {
      return { from, to: magic.index + index + word.length, text };
    }
  }
  return null;
}

function applied(source: string, edits: readonly Edit[]): string {
  return [...edits]
    .sort((one, other) => other.from - one.from)
    .reduce((text, { from, to, text: put }) => text.slice(0, from) + put + text.slice(to), source);
}

/** The last class of a name in a cell, which is the one that counts, and none that is within another definition. */
class AppClass {
  constructor(
    private readonly source: string,
    name: string,
  ) {
    const tree = parser.parse(
      source
        .replace(OTHER_LINES, (line, indent: string) => indent + "#".repeat(line.length - indent.length))
        .replace(OTHER_VALUES, (_, before: string, value: string) => `${before}0${"#".repeat(value.length - 1)}`),
    );
    let found: SyntaxNode | null = null;
    let least = Number.POSITIVE_INFINITY;
    tree.iterate({
      enter: ({ name: kind, node }) => {
        const depth = kind === "ClassDefinition" ? depthOf(node) : least + 1;
        if (depth <= least && this.text(node.getChild("VariableName")) === name) {
          [found, least] = [node, depth];
        }
      },
    });
    const body = (found as SyntaxNode | null)?.getChild("Body") ?? null;
    if (!found || !body) {
      throw new Error(`The cell has no class ${name}.`);
    }
    this.node = found;
    this.header = body.from;
    this.statements = [...children(body)].filter(({ name: kind }) => ![":", "Comment"].includes(kind));
    if (!this.statements.length || this.statements[0].type.isError) {
      throw new Error(`The class ${name} has no body in this cell.`);
    }
    if (!source.slice(this.header, this.statements[0].from).includes("\n")) {
      throw new Error(`The class ${name} is written in one line: give its body lines of its own first.`);
    }
  }

  /** The change that gives a written option another value; null where the class does not say it. */
  edit(option: string, text: string): Edit | null {
    return this.editOfAttribute(option, text) ?? this.editOfKeyword(option, text);
  }

  /** The change that adds attributes: behind the docstring, else as the first lines of the body. */
  insertion(attributes: readonly string[]): Edit {
    const [first] = this.statements;
    const indent = this.source.slice(this.lineOf(first.from), first.from);
    const opening = first.name === "StatementGroup" ? first.firstChild : first;
    const documented = opening?.name === "ExpressionStatement" && opening.firstChild?.name.endsWith("String");
    let from = documented ? this.endOfLine(trimmedEnd(this.source, first)) : this.endOfLine(this.header) + 1;
    while (!documented && !this.source.slice(from, this.endOfLine(from)).trim()) {
      from = this.endOfLine(from) + 1;
    }
    const lines = attributes.map((attribute) => indent + attribute);
    const next = documented ? from + 1 : from;
    if (/^\s*(@|(async\s+)?def\b|class\b)/.test(this.source.slice(next, this.endOfLine(next)))) {
      lines.push("");
    }
    return { from, to: from, text: documented ? `\n${lines.join("\n")}` : `${lines.join("\n")}\n` };
  }

  /** The change of the last assignment in the body, the one that counts. */
  private editOfAttribute(option: string, text: string): Edit | null {
    let last: SyntaxNode | null = null;
    for (const statement of this.statements) {
      for (const one of statement.name === "StatementGroup" ? children(statement) : [statement]) {
        if (this.sets(one, option)) {
          last = one;
        }
      }
    }
    const value = last && (last as SyntaxNode).name === "AssignStatement" ? plainValue(last) : null;
    if (last && !value) {
      const line = this.source.slice(0, (last as SyntaxNode).from).split("\n").length;
      throw new Error(`${option} is set in line ${line} of the cell in a way that only you can change.`);
    }
    return value && { ...value, text };
  }

  private editOfKeyword(option: string, text: string): Edit | null {
    const parts = [...children(this.node.getChild("ArgList") ?? this.node)];
    const sign = parts.findIndex((part, n) => part.name === "AssignOp" && this.text(parts[n - 1] ?? null) === option);
    const end = sign < 0 ? -1 : parts.findIndex((part, n) => n > sign && [",", ")"].includes(part.name));
    return end > sign + 1 ? { from: parts[sign + 1].from, to: parts[end - 1].to, text } : null;
  }

  /** Whether a statement of the body gives the class an attribute of that name, or takes it away, in whatever way. */
  private sets(statement: SyntaxNode, option: string): boolean {
    let found = false;
    statement.cursor().iterate(({ name, node }) => {
      if (name === "VariableName" && this.text(node) === option && isBound(node)) {
        found = true;
      }
      if (SCOPES.has(name) && this.text(node.getChild("VariableName")) === option) {
        found = true;
      }
      return !SCOPES.has(name) && !CLOSED.has(name);
    });
    return found;
  }

  private text(node: SyntaxNode | null): string {
    return node ? this.source.slice(node.from, node.to) : "";
  }

  private lineOf(at: number): number {
    return this.source.lastIndexOf("\n", at - 1) + 1;
  }

  private endOfLine(at: number): number {
    const end = this.source.indexOf("\n", at);
    return end < 0 ? this.source.length : end;
  }

  private readonly node: SyntaxNode;
  private readonly header: number;
  private readonly statements: SyntaxNode[];
}

/** Where the value of `name = value` or `name: type = value` stands; null for every other form. */
function plainValue(statement: SyntaxNode): { from: number; to: number } | null {
  const signs = statement.getChildren("AssignOp");
  const first = signs[0]?.nextSibling;
  const target = statement.firstChild;
  const type = target?.nextSibling;
  const plain = target?.name === "VariableName" && (type?.name === "AssignOp" || type?.name === "TypeDef");
  return signs.length === 1 && plain && first && statement.lastChild
    ? { from: first.from, to: statement.lastChild.to }
    : null;
}

/** Whether a name is bound where it stands, and not only read. */
function isBound(name: SyntaxNode): boolean {
  let target = name;
  while (target.parent && TARGETS.has(target.parent.name)) {
    target = target.parent;
  }
  const { parent, prevSibling, nextSibling } = target;
  switch (parent?.name) {
    case "AssignStatement":
      return target.to <= (parent.getChildren("AssignOp").at(-1)?.from ?? -1);
    case "UpdateStatement":
    case "NamedExpression":
      return prevSibling === null;
    case "ForStatement":
      return target.to <= (parent.getChild("in")?.from ?? -1);
    case "WithStatement":
      return prevSibling?.name === "as";
    case "ImportStatement":
      return nextSibling?.name !== "as" && nextSibling?.name !== "." && prevSibling?.name !== "from";
    case "DeleteStatement":
      return true;
    default:
      return false;
  }
}

/** How many definitions a node is within. */
function depthOf(node: SyntaxNode): number {
  let depth = 0;
  for (let outer = node.parent; outer; outer = outer.parent) {
    depth += SCOPES.has(outer.name) ? 1 : 0;
  }
  return depth;
}

function* children(node: SyntaxNode): Iterable<SyntaxNode> {
  for (let child = node.firstChild; child; child = child.nextSibling) {
    yield child;
  }
}

/** Where a statement ends; the grammar counts the line's end to some. */
function trimmedEnd(source: string, { from, to }: SyntaxNode): number {
  return from + source.slice(from, to).trimEnd().length;
}
