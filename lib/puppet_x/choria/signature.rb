# frozen_string_literal: true

require_relative 'plans'

module PuppetX
  module Choria
    # Describes the parameters of a plan by the structure of their types, for the command line to make
    # options of.
    module Signature
      module_function

      # @param plan [Puppet::Functions::Function]
      # @return [Hash] file, line and parameters
      def describe(plan)
        plan = Plans.dispatcher(plan)
        values = plan.parameters.to_h { |parameter| [parameter.name, parameter.value] }
        parameters = plan.params_struct.elements.map { |element| parameter(element, values[element.name]) }
        { 'parameters' => parameters }.merge(position(plan))
      end

      def position(plan)
        return {} unless plan.respond_to?(:model)

        { 'file' => plan.model.file, 'line' => plan.model.line }
      end

      def parameter(element, default)
        {
          'name' => element.name,
          'required' => default.nil?,
          'structure' => type(element.value_type),
          'type' => element.value_type.to_s,
          'default' => source(default)
        }
      end

      # The text of a default in the file.
      def source(default)
        return nil if default.nil? || !default.respond_to?(:locator)

        default.locator.extract_tree_text(default)
      end

      TYPES = Puppet::Pops::Types
      private_constant :TYPES

      # @return [Hash] kind and what the kind has: of, members, variants, values
      def type(type)
        case type
        when TYPES::PTypeAliasType then type(type.resolved_type)
        when TYPES::POptionalType then { 'kind' => 'optional', 'of' => type(type.type) }
        when TYPES::PNotUndefType then type(type.type)
        when TYPES::PSensitiveType then { 'kind' => 'sensitive', 'of' => type(type.type) }
        when TYPES::PVariantType then { 'kind' => 'variant', 'variants' => type.types.map { |item| type(item) } }
        else collection(type)
        end
      end

      def collection(type)
        case type
        when TYPES::PArrayType then { 'kind' => 'array', 'of' => type(type.element_type) }
        when TYPES::PTupleType then { 'kind' => 'array', 'of' => { 'kind' => 'other' } }
        when TYPES::PHashType then { 'kind' => 'hash', 'of' => type(type.value_type) }
        when TYPES::PStructType
          { 'kind' => 'struct', 'members' => type.elements.to_h { |element| [element.name, type(element.value_type)] } }
        else scalar(type)
        end
      end

      def scalar(type)
        case type
        when TYPES::PBooleanType then { 'kind' => 'boolean' }
        when TYPES::PIntegerType then { 'kind' => 'integer' }
        when TYPES::PFloatType then { 'kind' => 'float' }
        when TYPES::PNumericType then { 'kind' => 'numeric' }
        when TYPES::PEnumType then { 'kind' => 'enum', 'values' => type.values }
        when TYPES::PStringType, TYPES::PPatternType then { 'kind' => 'string' }
        else { 'kind' => 'other' }
        end
      end
    end
  end
end
