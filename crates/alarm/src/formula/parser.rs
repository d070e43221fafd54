//! From words to a tree, by recursive descent with a bound.

use crate::formula::functions::{self, Found};
use crate::formula::lexer::{Placed, Token, words, wrong};
use crate::formula::{Formula, FormulaError, Node, Operator, Value};

/// How deep parentheses, calls and signs may be nested.
const DEEPEST: usize = 100;

pub(super) fn parse(text: &str) -> Result<Formula, FormulaError> {
    let mut parser = Parser {
        words: words(text)?,
        at: 0,
        end: text.len(),
        depth: 0,
        inputs: Vec::new(),
    };
    if parser.words.is_empty() {
        return Err(wrong(0, 0, "the formula is empty"));
    }
    let root = parser.choice()?;
    if let Some(rest) = parser.words.get(parser.at) {
        return Err(wrong(
            rest.at,
            rest.length,
            "expected an operator or the end of the formula",
        ));
    }
    Ok(Formula {
        root,
        inputs: parser.inputs,
    })
}

struct Parser {
    words: Vec<Placed>,
    at: usize,
    end: usize,
    depth: usize,
    inputs: Vec<String>,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.words.get(self.at).map(|word| &word.token)
    }

    fn take_if(&mut self, token: &Token) -> bool {
        let is_there = self.peek() == Some(token);
        self.at += usize::from(is_there);
        is_there
    }

    /// An error at the next word.
    fn expected(&self, what: &str) -> FormulaError {
        match self.words.get(self.at) {
            Some(word) => wrong(word.at, word.length, format!("expected {what}")),
            None => wrong(
                self.end,
                0,
                format!("expected {what}, but the formula ends here"),
            ),
        }
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, FormulaError>,
    ) -> Result<T, FormulaError> {
        if self.depth == DEEPEST {
            return Err(self.expected(&format!("no more than {DEEPEST} levels")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn choice(&mut self) -> Result<Node, FormulaError> {
        self.deeper(|parser| {
            let condition = parser.level(0)?;
            if !parser.take_if(&Token::Question) {
                return Ok(condition);
            }
            let yes = parser.choice()?;
            if !parser.take_if(&Token::Colon) {
                return Err(parser.expected("`:` and what the formula is otherwise"));
            }
            let no = parser.choice()?;
            Ok(Node::Choice(
                Box::new(condition),
                Box::new(yes),
                Box::new(no),
            ))
        })
    }

    /// Operators that bind alike, from left to right.
    fn level(&mut self, level: usize) -> Result<Node, FormulaError> {
        let Some(operators) = LEVELS.get(level) else {
            return self.sign();
        };
        let mut left = self.level(level + 1)?;
        while let Some(Token::Operator(operator)) = self.peek() {
            let operator = *operator;
            if !operators.contains(&operator) {
                break;
            }
            self.at += 1;
            let right = self.level(level + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Node, FormulaError> {
        if self.take_if(&Token::Operator(Operator::Minus)) {
            let of = self.deeper(Self::sign)?;
            return Ok(Node::Negative(Box::new(of)));
        }
        if self.take_if(&Token::Not) {
            let of = self.deeper(Self::sign)?;
            return Ok(Node::Not(Box::new(of)));
        }
        self.term()
    }

    fn term(&mut self) -> Result<Node, FormulaError> {
        let Some(word) = self.words.get(self.at).cloned() else {
            return Err(self.expected("a number, a PV or `(`"));
        };
        self.at += 1;
        match word.token {
            Token::Number(number) => Ok(Node::Constant(Value::Number(number))),
            Token::Text(text) => Ok(Node::Constant(Value::Text(text))),
            Token::Quoted(name) => Ok(self.input(name)),
            Token::Open => {
                let inside = self.choice()?;
                if !self.take_if(&Token::Close) {
                    return Err(self.expected("`)`"));
                }
                Ok(inside)
            }
            Token::Word(ref name) if self.peek() == Some(&Token::Open) => {
                self.at += 1;
                self.call(name, &word)
            }
            Token::Word(name) => Ok(match name.as_str() {
                "E" => Node::Constant(Value::Number(std::f64::consts::E)),
                "PI" => Node::Constant(Value::Number(std::f64::consts::PI)),
                _ => self.input(name),
            }),
            _ => {
                self.at -= 1;
                Err(self.expected("a number, a PV or `(`"))
            }
        }
    }

    fn call(&mut self, name: &str, word: &Placed) -> Result<Node, FormulaError> {
        let function = match functions::find(name) {
            Found::Function(function) => function,
            Found::Refused(why) => {
                return Err(wrong(word.at, word.length, format!("`{name}` {why}")));
            }
            Found::Unknown(near) => {
                let mut error = wrong(
                    word.at,
                    word.length,
                    format!("there is no function `{name}`"),
                );
                error.hint = near.map(|near| format!("did you mean `{near}`?"));
                return Err(error);
            }
        };
        let mut arguments = Vec::new();
        if !self.take_if(&Token::Close) {
            loop {
                arguments.push(self.choice()?);
                if self.take_if(&Token::Close) {
                    break;
                }
                if !self.take_if(&Token::Comma) {
                    return Err(self.expected("`,` or `)`"));
                }
            }
        }
        functions::check(function, name, &arguments)
            .map_err(|message| wrong(word.at, word.length, message))?;
        Ok(Node::Call(function, arguments))
    }

    fn input(&mut self, name: String) -> Node {
        let known = self.inputs.iter().position(|input| *input == name);
        Node::Input(known.unwrap_or_else(|| {
            self.inputs.push(name);
            self.inputs.len() - 1
        }))
    }
}

/// From what binds least to what binds most.
const LEVELS: [&[Operator]; 4] = [
    &[Operator::And, Operator::Or],
    &[
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Equal,
        Operator::NotEqual,
    ],
    &[Operator::Plus, Operator::Minus],
    &[
        Operator::Power,
        Operator::Times,
        Operator::Divided,
        Operator::Remainder,
    ],
];
