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
/** Lines of IPython, which are not Python. */
const OTHER_LINES = /^([ \t]*)(?:%%?(?=[A-Za-z_])|!)/gm;
/** Statements in whose bodies an assignment need not happen, or not once. */
const COMPOUND = new Set([
  "IfStatement",
  "ForStatement",
  "WhileStatement",
  "TryStatement",
  "WithStatement",
  "MatchStatement",
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
      const end = magic.index + magic[0].trimEnd().length;
      edits.push({ from: end, to: end, text: ` --warm ${text}` });
    }
  }
  if (added.length) {
    edits.push(written.insertion(added));
  }
  return applied(source, edits);
}

/** The change of a flag in the magic's line, where it has that flag. */
function inMagic(magic: RegExpExecArray, name: string, text: string): Edit | null {
  const flag = FLAGS[name] ? new RegExp(`\\s${FLAGS[name]}(?:=|[ \\t]+)(\\S+)`).exec(magic[0]) : null;
  if (!flag) {
    return null;
  }
  const to = magic.index + flag.index + flag[0].length;
  return { from: to - flag[1].length, to, text };
}

function applied(source: string, edits: readonly Edit[]): string {
  return [...edits]
    .sort((one, other) => other.from - one.from)
    .reduce((text, { from, to, text: put }) => text.slice(0, from) + put + text.slice(to), source);
}

/** The last class of a name in a cell, which is the one that counts. */
class AppClass {
  constructor(
    private readonly source: string,
    name: string,
  ) {
    const tree = parser.parse(
      source.replace(OTHER_LINES, (line, indent: string) => indent + "#".repeat(line.length - indent.length)),
    );
    let found: SyntaxNode | null = null;
    tree.iterate({
      enter: ({ name: kind, node }) => {
        if (kind === "ClassDefinition" && this.text(node.getChild("VariableName")) === name) {
          found = node;
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

  /** Whether a statement of the body gives the class an attribute of that name, in whatever way. */
  private sets(statement: SyntaxNode, option: string): boolean {
    if (COMPOUND.has(statement.name)) {
      return statement.getChildren("Body").some((body) => [...children(body)].some((one) => this.sets(one, option)));
    }
    if (statement.name === "StatementGroup") {
      return [...children(statement)].some((one) => this.sets(one, option));
    }
    if (statement.name === "UpdateStatement") {
      return this.text(statement.firstChild) === option;
    }
    const end = statement.name === "AssignStatement" ? statement.getChildren("AssignOp").at(-1) : null;
    let found = false;
    statement.cursor().iterate(({ name, from, to }) => {
      if (end && name === "VariableName" && to <= end.from && this.source.slice(from, to) === option) {
        found = true;
      }
      return name !== "TypeDef";
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

function* children(node: SyntaxNode): Iterable<SyntaxNode> {
  for (let child = node.firstChild; child; child = child.nextSibling) {
    yield child;
  }
}

/** Where a statement ends; the grammar counts the line's end to some. */
function trimmedEnd(source: string, { from, to }: SyntaxNode): number {
  return from + source.slice(from, to).trimEnd().length;
}
