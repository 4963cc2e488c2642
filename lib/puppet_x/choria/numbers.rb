# frozen_string_literal: true

module PuppetX
  module Choria
    # Says where in a file a number stands that is too large for Puppet, as 1e400 is. Puppet itself takes it for an
    # error of its own then, and knows no place.
    #
    # Like Positions this reaches into Puppet, and a Puppet without these methods goes without.
    module Numbers
      # Parses.
      module Parser
        def yyparse(lexer, *rest)
          super
        rescue ArgumentError
          text = lexer.locator.string
          found = Numbers.unfit(text, lexer.file)
          raise unless found

          raise Puppet::ParseError.new("#{found[:value]} is too large a number", lexer.file, found[:line], found[:pos])
        end
      end

      # @return [Puppet::Pops::Parser::LexerSupport::TokenValue, nil] the first number that Puppet cannot hold
      def self.unfit(text, file)
        lexer = Puppet::Pops::Parser::Lexer2.new
        lexer.lex_string(text, file)
        _, found = lexer.fullscan.find do |kind, token|
          kind == :NUMBER && Puppet::Pops::Utils.to_n_with_radix(token[:value]).nil?
        end
        found
      rescue Puppet::Error
        nil # the text is no code from its beginning on, as that of a template is not
      end

      def self.install
        parser = Puppet::Pops::Parser::Parser
        parser.prepend(Parser) if parser.method_defined?(:yyparse)
      end
    end
  end
end
