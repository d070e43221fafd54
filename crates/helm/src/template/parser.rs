//! Tokens into a tree.

use std::sync::Arc;

use super::ast::{Branch, Command, Expr, ExprKind, ListNode, Node, ParsedTemplate, Pipe};
use super::error::ParseError;
use super::lexer::{Lexer, Token, TokenKind};
use super::number::number;
use super::original::Original;
use crate::functions;
use crate::go::quote::quote;
use crate::go::text::Text;

/// Levels of control structures and parentheses, together.
const MAX_DEPTH: usize = 250;

type Parsed<T> = Result<T, ParseError>;

/// Parses a file or the text given to `tpl`.
pub(crate) fn parse(source: &Text) -> Parsed<ParsedTemplate> {
    let readable = source.lossy();
    let mut parser = Parser::new(&readable, Original::new(source));
    let main = parser.file()?;
    Ok(ParsedTemplate {
        source: source.clone(),
        main: Arc::new(main),
        definitions: parser.definitions,
    })
}

/// What ends a list of nodes.
enum End {
    End,
    Else,
}

enum Item {
    Node(Node),
    End(End),
}

/// What belongs to one template of a file rather than to the file.
struct Scope {
    variables: Vec<Arc<str>>,
    action_line: usize,
    range_depth: usize,
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    /// Tokens looked at but not taken, the next one last.
    ahead: Vec<Token<'s>>,
    /// Line of the token read last, which messages name.
    line: usize,
    scope: Scope,
    depth: usize,
    definitions: Vec<(Text, Arc<ListNode>)>,
    original: Original<'s>,
}

impl<'s> Parser<'s> {
    fn new(source: &'s str, original: Original<'s>) -> Self {
        Self {
            lexer: Lexer::new(source),
            ahead: Vec::with_capacity(3),
            line: 0,
            scope: Self::new_scope(),
            depth: 0,
            definitions: Vec::new(),
            original,
        }
    }

    fn new_scope() -> Scope {
        Scope {
            variables: vec!["$".into()],
            action_line: 0,
            range_depth: 0,
        }
    }

    fn next(&mut self) -> Token<'s> {
        if let Some(token) = self.ahead.pop() {
            return token;
        }
        let token = self.lexer.next();
        self.line = token.line;
        token
    }

    fn backup(&mut self, token: Token<'s>) {
        self.ahead.push(token);
    }

    fn peek(&mut self) -> &Token<'s> {
        if self.ahead.is_empty() {
            let token = self.next();
            self.ahead.push(token);
        }
        // The branch above leaves at least one token.
        &self.ahead[self.ahead.len() - 1]
    }

    fn next_non_space(&mut self) -> Token<'s> {
        loop {
            let token = self.next();
            if token.kind != TokenKind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> &Token<'s> {
        let token = self.next_non_space();
        self.ahead.push(token);
        &self.ahead[self.ahead.len() - 1]
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError {
            line: self.line,
            message: message.into(),
        })
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind != TokenKind::Error {
            return self.error(format!("unexpected {} in {context}", token.describe()));
        }
        let action_line = self.scope.action_line;
        if action_line == 0 || action_line == token.line {
            return self.error(token.text.to_string());
        }
        Err(ParseError {
            line: self.line,
            message: ParseError::in_action(&token.text, action_line),
        })
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Parsed<Token<'s>> {
        let token = self.next_non_space();
        if token.kind == kind {
            Ok(token)
        } else {
            self.unexpected(&token, context)
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("max expression depth exceeded");
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn file(&mut self) -> Parsed<ListNode> {
        let mut list = ListNode::default();
        loop {
            let kind = self.peek().kind;
            if kind == TokenKind::Eof {
                return Ok(list);
            }
            if kind == TokenKind::LeftDelim {
                let delim = self.next();
                let token = self.next_non_space();
                if token.kind == TokenKind::Define {
                    self.definition()?;
                    continue;
                }
                self.backup(token);
                self.backup(delim);
            }
            match self.text_or_action()? {
                Item::Node(node) => list.nodes.push(node),
                Item::End(End::End) => return self.error("unexpected {{end}}"),
                Item::End(End::Else) => return self.error("unexpected {{else}}"),
            }
        }
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let outer = std::mem::replace(&mut self.scope, Self::new_scope());
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(TokenKind::RightDelim, CONTEXT)?;
        let (list, end) = self.item_list()?;
        if matches!(end, End::Else) {
            return self.error(format!("unexpected {{{{else}}}} in {CONTEXT}"));
        }
        self.define(name, list)?;
        self.scope = outer;
        Ok(())
    }

    fn define(&mut self, name: Text, list: ListNode) -> Parsed<()> {
        let existing = self
            .definitions
            .iter_mut()
            .find(|(existing, _)| *existing == name);
        match existing {
            None => self.definitions.push((name, Arc::new(list))),
            Some((_, old)) if old.is_empty() => *old = Arc::new(list),
            Some(_) if list.is_empty() => {}
            Some(_) => {
                let name = quote(&name);
                return self.error(format!("template: multiple definition of template {name}"));
            }
        }
        Ok(())
    }

    fn item_list(&mut self) -> Parsed<(ListNode, End)> {
        let mut list = ListNode::default();
        while self.peek_non_space().kind != TokenKind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => list.nodes.push(node),
                Item::End(end) => return Ok((list, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            TokenKind::Text => Ok(Item::Node(Node::Text(self.original.text(&token)))),
            TokenKind::LeftDelim => {
                self.scope.action_line = token.line;
                let item = self.action()?;
                self.scope.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            TokenKind::Block => self.block()?,
            TokenKind::Break => self.loop_control("break", Node::Break)?,
            TokenKind::Continue => self.loop_control("continue", Node::Continue)?,
            TokenKind::Else => return self.else_control().map(Item::End),
            TokenKind::End => {
                self.expect(TokenKind::RightDelim, "end")?;
                return Ok(Item::End(End::End));
            }
            TokenKind::If => Node::If(self.control("if")?),
            TokenKind::Range => Node::Range(self.control("range")?),
            TokenKind::With => Node::With(self.control("with")?),
            TokenKind::Template => self.template()?,
            _ => {
                self.backup(token);
                Node::Action(self.pipeline("command", TokenKind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, word: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.kind != TokenKind::RightDelim {
            return self.unexpected(&token, &format!("{{{{{word}}}}}"));
        }
        if self.scope.range_depth == 0 {
            return self.error(format!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn else_control(&mut self) -> Parsed<End> {
        let next = self.peek_non_space();
        if matches!(next.kind, TokenKind::If | TokenKind::With) {
            return Ok(End::Else);
        }
        self.expect(TokenKind::RightDelim, "else")
            .map(|_| End::Else)
    }

    fn control(&mut self, context: &str) -> Parsed<Branch> {
        self.deeper(|parser| parser.control_parts(context))
    }

    fn control_parts(&mut self, context: &str) -> Parsed<Branch> {
        let variables = self.scope.variables.len();
        let pipe = self.pipeline(context, TokenKind::RightDelim)?;
        if context == "range" {
            self.scope.range_depth += 1;
        }
        let (list, end) = self.item_list()?;
        if context == "range" {
            self.scope.range_depth -= 1;
        }
        let otherwise = match end {
            End::End => None,
            End::Else => Some(self.otherwise(context)?),
        };
        self.scope.variables.truncate(variables);
        Ok(Branch {
            pipe,
            list,
            otherwise,
        })
    }

    fn otherwise(&mut self, context: &str) -> Parsed<ListNode> {
        let next = self.peek().kind;
        let chained = match (context, next) {
            ("if", TokenKind::If) => Some(Node::If as fn(Branch) -> Node),
            ("with", TokenKind::With) => Some(Node::With as fn(Branch) -> Node),
            _ => None,
        };
        if let Some(make) = chained {
            self.next();
            let branch = self.control(context)?;
            return Ok(ListNode {
                nodes: vec![make(branch)],
            });
        }
        let (list, end) = self.item_list()?;
        match end {
            End::End => Ok(list),
            End::Else => self.error("expected end; found {{else}}"),
        }
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, TokenKind::RightDelim)?;
        let outer = std::mem::replace(&mut self.scope, Self::new_scope());
        let (list, end) = self.deeper(Self::item_list)?;
        if matches!(end, End::Else) {
            return self.error(format!("unexpected {{{{else}}}} in {CONTEXT}"));
        }
        self.define(name.clone(), list)?;
        self.scope = outer;
        Ok(Node::Template {
            at: self.original.position(token.at),
            name,
            pipe: Some(pipe),
        })
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let next = self.next_non_space();
        let pipe = if next.kind == TokenKind::RightDelim {
            None
        } else {
            self.backup(next);
            Some(self.pipeline(CONTEXT, TokenKind::RightDelim)?)
        };
        Ok(Node::Template {
            at: self.original.position(token.at),
            name,
            pipe,
        })
    }

    fn template_name(&self, token: &Token, context: &str) -> Parsed<Text> {
        match token.kind {
            TokenKind::String | TokenKind::RawString => match self.original.unquoted(token) {
                Some(name) => Ok(name),
                None => self.error("invalid syntax"),
            },
            _ => self.unexpected(token, context),
        }
    }

    fn pipeline(&mut self, context: &str, end: TokenKind) -> Parsed<Pipe> {
        let at = self.peek_non_space().at;
        let at = self.original.position(at);
        let mut pipe = Pipe {
            at,
            assigns: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Complex
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::RawString
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    self.backup(token);
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        loop {
            if self.peek_non_space().kind != TokenKind::Variable {
                return Ok(());
            }
            let variable = self.next();
            let after = self.peek().clone();
            let next = self.peek_non_space().clone();
            match next.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    pipe.assigns = next.kind == TokenKind::Assign;
                    self.next_non_space();
                    self.declare(pipe, &variable);
                    return Ok(());
                }
                TokenKind::Char if next.text == "," => {
                    self.next_non_space();
                    self.declare(pipe, &variable);
                    if context != "range" || pipe.variables.len() >= 2 {
                        return self.error(format!("too many declarations in {context}"));
                    }
                    match self.peek_non_space().kind {
                        TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen => {}
                        _ => return self.error("range can only initialize variables"),
                    }
                }
                _ => {
                    // No declaration: the variable begins a command. The blank after it counts.
                    if after.kind == TokenKind::Space {
                        self.backup(after);
                    }
                    self.backup(variable);
                    return Ok(());
                }
            }
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, variable: &Token) {
        let name: Arc<str> = variable.text.as_ref().into();
        pipe.variables.push(Arc::clone(&name));
        self.scope.variables.push(name);
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (stage, command) in pipe.commands.iter().enumerate().skip(1) {
            let constant = matches!(
                command.words.first().map(|word| &word.kind),
                Some(
                    ExprKind::Bool(_)
                        | ExprKind::Dot
                        | ExprKind::Nil
                        | ExprKind::Number(_)
                        | ExprKind::Str { .. }
                )
            );
            if constant {
                let stage = stage + 1;
                return self.error(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let at = self.peek_non_space().at;
        let mut command = Command {
            at: self.original.position(at),
            words: Vec::new(),
        };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.words.push(operand);
            }
            let token = self.next();
            match token.kind {
                TokenKind::Space => continue,
                TokenKind::RightDelim | TokenKind::RightParen => self.backup(token),
                TokenKind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.words.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(mut node) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != TokenKind::Field {
            return Ok(Some(node));
        }
        let at = self.peek().at;
        let at = self.original.position(at);
        let mut fields = Vec::new();
        while self.peek().kind == TokenKind::Field {
            let token = self.next();
            fields.push(Arc::from(token.text.trim_start_matches('.')));
        }
        match &mut node.kind {
            ExprKind::Field(own) | ExprKind::Variable { fields: own, .. } => {
                own.append(&mut fields);
                node.at = at;
                Ok(Some(node))
            }
            ExprKind::Bool(_)
            | ExprKind::Str { .. }
            | ExprKind::Number(_)
            | ExprKind::Nil
            | ExprKind::Dot => {
                let term = quote(&node.to_string().into());
                self.error(format!("unexpected . after term {term}"))
            }
            _ => {
                let kind = ExprKind::Chain {
                    node: Box::new(node),
                    fields,
                };
                Ok(Some(Expr { at, kind }))
            }
        }
    }

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let token = self.next_non_space();
        let at = self.original.position(token.at);
        let kind = match token.kind {
            TokenKind::Identifier => match functions::lookup(&token.text) {
                Some(function) => ExprKind::Function(function),
                None => {
                    let name = quote(&token.text.as_ref().into());
                    return self.error(format!("function {name} not defined"));
                }
            },
            TokenKind::Dot => ExprKind::Dot,
            TokenKind::Nil => ExprKind::Nil,
            TokenKind::Variable => {
                let name: Arc<str> = token.text.as_ref().into();
                if !self.scope.variables.contains(&name) {
                    let name = quote(&token.text.as_ref().into());
                    return self.error(format!("undefined variable {name}"));
                }
                ExprKind::Variable {
                    name,
                    fields: Vec::new(),
                }
            }
            TokenKind::Field => ExprKind::Field(vec![token.text.trim_start_matches('.').into()]),
            TokenKind::Bool => ExprKind::Bool(token.text == "true"),
            TokenKind::CharConstant | TokenKind::Number | TokenKind::Complex => {
                match number(&token) {
                    Ok(number) => ExprKind::Number(number),
                    Err(message) => return self.error(message),
                }
            }
            TokenKind::LeftParen => {
                let pipe = self.deeper(|parser| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParen)
                })?;
                let at = pipe.at;
                return Ok(Some(Expr {
                    at,
                    kind: ExprKind::Pipe(Box::new(pipe)),
                }));
            }
            TokenKind::String | TokenKind::RawString => match self.original.unquoted(&token) {
                Some(text) => ExprKind::Str {
                    quoted: token.text.to_string(),
                    text,
                },
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.backup(token);
                return Ok(None);
            }
        };
        Ok(Some(Expr { at, kind }))
    }
}
